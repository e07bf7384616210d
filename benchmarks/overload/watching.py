"""What is seen of a service from outside while it is under load: its memory, its threads, and how it is alive."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import httpx
import psutil

_PAUSE = 0.1  # seconds between two looks


@dataclass
class Seen:
    """What was seen, look by look.

    Args:
        resident: bytes.
        livez_milliseconds: how long /livez took to answer 200.
        livez_failures: how often it did not, or not within two seconds.
        cpu_seconds: processor time of the service, at the end.
    """

    resident: list[int] = field(default_factory=list)
    livez_milliseconds: list[float] = field(default_factory=list)
    livez_failures: int = 0
    cpu_seconds: float = 0.0

    def livez(self, share: float) -> float:
        """The milliseconds within which this share of the questions was answered."""
        ordered = sorted(self.livez_milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


@contextmanager
def watching(pid: int, url: str) -> Iterator[Seen]:
    """Look at the service now and then until the context ends."""
    seen, process, over = Seen(), psutil.Process(pid), threading.Event()
    before = _cpu_seconds(process)

    def look() -> None:
        with httpx.Client(base_url=url, timeout=2) as client:
            while not over.wait(_PAUSE):
                seen.resident.append(process.memory_info().rss)
                start = perf_counter()
                try:
                    client.get("/livez").raise_for_status()
                    seen.livez_milliseconds.append((perf_counter() - start) * 1000)
                except httpx.HTTPError:
                    seen.livez_failures += 1

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        seen.cpu_seconds = _cpu_seconds(process) - before


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
