"""How many requests a second a server answers with a 99th percentile that can be lived with."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil

from benchmarks.serving.load import Load

LIMIT_MILLISECONDS = 25.0
_GROWTH, _BISECTIONS, _MOST_RUNS = 1.35, 3, 24
_LOWEST_RATE = 20.0
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Point:
    """One rate: what the load generator reports, and what the server took meanwhile.

    Args:
        server_share: of one processor, that the server's processes took.
    """

    rate: float
    answered: float
    milliseconds: dict[str, float]
    failures: dict[str, int]
    late_milliseconds: float
    generator_share: float
    server_share: float

    @property
    def is_good(self) -> bool:
        return not self.failures and self.milliseconds["p99"] <= LIMIT_MILLISECONDS


def sweep(measure: Callable[[float], Point], first: float) -> tuple[list[Point], Point | None]:
    """Raise the rate until the limit is passed twice running, then halve the gap: all points, and the best good one.

    Where the first rate is too much already, it is halved until one is not.
    """
    points = [measure(first)]
    while not points[-1].is_good and points[-1].rate > _LOWEST_RATE:
        points.append(measure(points[-1].rate / 2))
    rate, misses = points[-1].rate * _GROWTH, 0
    while points[-1].rate > _LOWEST_RATE and misses < 2 and len(points) < _MOST_RUNS:
        points.append(measure(rate))
        misses = 0 if points[-1].is_good else misses + 1
        rate *= _GROWTH
    good = [point.rate for point in points if point.is_good]
    low = max(good, default=0.0)
    high = min((point.rate for point in points if point.rate > low), default=low)
    for _ in range(_BISECTIONS if low else 0):
        points.append(measure((low + high) / 2))
        low, high = (points[-1].rate, high) if points[-1].is_good else (low, points[-1].rate)
    best = [point for point in points if point.is_good]
    return sorted(points, key=lambda point: point.rate), max(best, key=lambda point: point.rate, default=None)


def measure(load: Load, servers: Sequence[psutil.Process]) -> Point:
    """Send one load from a process of its own."""
    before = _cpu_seconds(servers)
    start = monotonic()
    command = [sys.executable, "-m", "benchmarks.serving.load", json.dumps(asdict(load))]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    wall = monotonic() - start
    return Point(
        rate=load.rate,
        answered=report["answered"],
        milliseconds=report["milliseconds"],
        failures=report["failures"],
        late_milliseconds=report["late_milliseconds"],
        generator_share=report["cpu_share"],
        server_share=(_cpu_seconds(servers) - before) / wall,
    )


@contextmanager
def server_process(command: list[str], port: int, log: Path) -> Iterator[psutil.Process]:
    """A server on loopback, once it listens; it is ended with its children.

    Raises:
        RuntimeError: if it ends at once or does not listen in time.
    """
    with log.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        server = psutil.Process(process.pid)
        try:
            _wait(process, port, log)
            yield server
        finally:
            family = [*server.children(recursive=True), server]
            for member in family:
                member.terminate()
            for member in psutil.wait_procs(family, timeout=20)[1]:
                member.kill()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = monotonic() + _START_SECONDS
    while monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=2)
            return
        except httpx.TransportError:
            sleep(0.2)
    raise RuntimeError(f"{process.args!r} does not listen; the end of {log}:\n{log.read_text()[-2000:]}")


def _cpu_seconds(servers: Sequence[psutil.Process]) -> float:
    times = [member.cpu_times() for server in servers for member in [server, *server.children(recursive=True)]]
    return float(sum(time.user + time.system for time in times))
