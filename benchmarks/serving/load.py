"""An open-loop load generator: a request leaves when its time has come, whether or not earlier ones were answered.

Its latency counts from the scheduled time, so a server that stalls pays for all who would have come meanwhile (no
coordinated omission). It runs as a process of its own, ``python -m benchmarks.serving.load``, reads a :class:`Load` as
JSON on standard input and prints a :class:`Report` as JSON.
"""

import asyncio
import json
import resource
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import uvloop

PERCENTILES = (50, 90, 95, 99, 99.9)
_DRAIN_SECONDS = 10.0
_HEAD_END, _LENGTH = b"\r\n\r\n", b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Args:
        ports, path: where to, on loopback; the connections are dealt out among the ports.
        bodies: a file of JSON bodies, one a line, sent in turn.
        rate: requests a second on average; the times between them are drawn from an exponential distribution.
        seconds: how long, after ``warm_seconds`` at the same rate that do not count.
        connections: kept alive and opened beforehand; each has one request under way at a time. Where all are busy a
            request waits, and its latency counts on.
        seed: what the times are drawn from.
        then: further rates, each with the seconds for which it follows.
    """

    ports: tuple[int, ...]
    path: str
    bodies: str
    rate: float
    seconds: float
    warm_seconds: float = 1.0
    connections: int = 256
    seed: int = 0
    then: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What became of the requests that were due in a part of the time.

    Args:
        offered, answered: how many there were, and how many were answered with 200.
        milliseconds: latency of those that were, by percentile; empty if none was.
    """

    offered: int
    answered: int
    milliseconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """What came back.

    Args:
        offered, answered: requests a second that were due, and that were answered with 200.
        milliseconds: the latency by percentile, of every request that counts; one without an answer has none.
        answered_milliseconds: the same of those alone that were answered with 200; empty if none was.
        failures: how many ended otherwise, by status or error.
        late_milliseconds: the 99th percentile of how late the generator itself was to send.
        cpu_share: of one processor, that the generator took.
        by_rate, by_second: what was due while each rate held, and in each second, warming up included.
    """

    offered: float
    answered: float
    milliseconds: dict[str, float]
    answered_milliseconds: dict[str, float]
    failures: dict[str, int]
    late_milliseconds: float
    cpu_share: float
    by_rate: list[Part]
    by_second: list[Part]

    @classmethod
    def read(cls, printed: str) -> "Report":
        """What the generator has printed."""
        fields = json.loads(printed)
        parts = {name: [Part(**part) for part in fields[name]] for name in ("by_rate", "by_second")}
        return cls(**{**fields, **parts})


class _Generator:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = _requests(load)
        self._times = _schedule(load)
        self.latency = np.full(len(self._times), np.inf)
        self._lateness = np.zeros(len(self._times))
        self.failures: Counter[str] = Counter()
        self._idle: deque[_Connection] = deque()  # the longest idle one first: turn by turn over the ports
        self._queue: deque[int] = deque()
        self._next, self._open = 0, 0
        self._start = 0.0

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        ports = self._load.ports
        for number in range(self._load.connections):
            port = ports[number % len(ports)]
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._idle.append(connection)
        self._start = perf_counter()
        cpu = _cpu_seconds()
        self._send_due()
        end = self._times[-1] + _DRAIN_SECONDS
        while (self._next < len(self._times) or self._open) and perf_counter() - self._start < end:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        wall, cpu = perf_counter() - self._start, _cpu_seconds() - cpu
        return self._report(cpu / wall)

    def answered(self, connection: "_Connection", number: int, status: bytes) -> None:
        self.latency[number] = perf_counter() - self._start - self._times[number]
        self._done(number, None if status == b"200" else status.decode())
        if self._queue:
            connection.send(self._queue.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: "_Connection", number: int | None) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        if number is not None:
            self._done(number, "connection lost")

    def request(self, number: int) -> bytes:
        self._lateness[number] = perf_counter() - self._start - self._times[number]
        return self._requests[number % len(self._requests)]

    def _done(self, number: int, failure: str | None) -> None:
        self._open -= 1
        if failure is not None:
            self.latency[number] = np.inf
            self.failures[failure] += 1

    def _send_due(self) -> None:
        now = perf_counter() - self._start
        while self._next < len(self._times) and self._times[self._next] <= now:
            number, self._next, self._open = self._next, self._next + 1, self._open + 1
            if self._idle:
                self._idle.popleft().send(number)
            else:
                self._queue.append(number)
        if self._next < len(self._times):
            wait = max(0.0, self._times[self._next] - (perf_counter() - self._start))
            asyncio.get_running_loop().call_later(wait, self._send_due)

    def _report(self, cpu_share: float) -> Report:
        counts = self._times >= self._load.warm_seconds
        latency, late = self.latency[counts], self._lateness[counts]
        unanswered = int(np.isinf(self.latency).sum()) - sum(self.failures.values())
        if unanswered:
            self.failures["no answer"] += unanswered
        lengths = [seconds for _, seconds in self._load.then]
        seconds = self._load.seconds + sum(lengths)
        return Report(
            offered=len(latency) / seconds,
            answered=float(np.isfinite(latency).sum()) / seconds,
            milliseconds=_percentiles(latency),
            answered_milliseconds=_percentiles(latency[np.isfinite(latency)]),
            failures=dict(self.failures),
            late_milliseconds=_percentile(late, 99),
            cpu_share=cpu_share,
            by_rate=self._parts(np.cumsum([self._load.warm_seconds + self._load.seconds, *lengths])),
            by_second=self._parts(np.arange(1.0, int(self._times[-1]) + 2)),
        )

    def _parts(self, ends: npt.NDArray[np.float64]) -> list[Part]:
        """By when they were due, each part up to the next of ``ends`` in seconds."""
        parts = np.split(self.latency, np.searchsorted(self._times, ends)[:-1])
        answered = [part[np.isfinite(part)] for part in parts]
        return [Part(len(part), len(of), _percentiles(of)) for part, of in zip(parts, answered, strict=True)]


class _Connection(asyncio.Protocol):
    """One keep-alive connection; reads no more of an answer than its status and where it ends."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._number: int | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a TCP connection it is one that writes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._generator.lost(self, self._number)

    def send(self, number: int) -> None:
        self._number = number
        if self._transport is not None:
            self._transport.write(self._generator.request(number))

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        head = data.find(_HEAD_END)
        length = data.find(_LENGTH, 0, head)
        if head < 0 or len(data) < head + 4 + int(data[length + len(_LENGTH) : data.find(b"\r", length)]):
            self._received = data
            return
        number, self._number, self._received = self._number, None, b""
        if number is not None:
            self._generator.answered(self, number, data[9:12])


def _schedule(load: Load) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(load.seed)
    parts: list[npt.NDArray[np.float64]] = []
    start = 0.0
    for rate, seconds in ((load.rate, load.warm_seconds + load.seconds), *load.then):
        times = np.cumsum(rng.exponential(1 / rate, int(rate * seconds * 1.2) + 100))
        parts.append(start + times[times < seconds])
        start += seconds
    return np.concatenate(parts)


def _requests(load: Load) -> list[bytes]:
    bodies = Path(load.bodies).read_bytes().splitlines()
    head = f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


def _percentiles(latency: npt.NDArray[np.float64]) -> dict[str, float]:
    return {f"p{percentile:g}": _percentile(latency, percentile) for percentile in PERCENTILES} if len(latency) else {}


def _percentile(values: npt.NDArray[np.float64], percentile: float) -> float:
    """In milliseconds; the nearest value that was measured, since there is none between one and infinity."""
    return round(float(np.percentile(values, percentile, method="higher")) * 1000, 3)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] = ()) -> None:
    load = Load(**json.loads(arguments[0] if arguments else sys.stdin.read()))
    print(json.dumps(asdict(uvloop.run(_Generator(load).run()))))


if __name__ == "__main__":
    main(sys.argv[1:])
