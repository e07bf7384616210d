"""A load of requests: a few clients over kept connections, each asking again as soon as it was answered."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

import httpx

from tests.integration.faults.processes import ServiceProcess

_KEPT_FAILURES = 20
_PROBE_SECONDS = 0.1

Ask = Callable[[httpx.Client, str], httpx.Response]


class Balancer:
    """Spreads requests over the replicas that said they are ready when last asked, as a load balancer does.

    It sends a request once: none is sent to another replica after one failed.
    """

    def __init__(self, services: Sequence[ServiceProcess]) -> None:
        self._services = services
        self._ready = [service.url for service in services]
        self._turns = count()
        self._done = Event()
        self._thread = Thread(target=self._probe, name="balancer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def url(self) -> str:
        ready = self._ready
        return ready[next(self._turns) % len(ready)]

    def _probe(self) -> None:
        with httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0)) as http:
            while not self._done.wait(_PROBE_SECONDS):
                ready = [service.url for service in self._services if _is_ready(http, service.url)]
                self._ready = ready or self._ready


class Load:
    """Clients at work for as long as the context is open.

    Args:
        url: where the next request goes.
        ask: sends one.
        clients: requests under way at a time, at most.
        pause: seconds that a client waits after each answer.
    """

    def __init__(self, url: Callable[[], str], ask: Ask, clients: int = 4, pause: float = 0.01) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self.failed = Event()
        self.slowest = 0.0
        self._url, self._ask, self._pause = url, ask, pause
        self._lock, self._done = Lock(), Event()
        self._threads = [Thread(target=self._run, name=f"load-{number}") for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    def assert_no_failure(self, statuses: Iterable[int] = (200,)) -> None:
        assert not self.failures, self.failures
        assert self.statuses.keys() <= set(statuses), self.statuses
        assert self.answered > 0

    def _run(self) -> None:
        with httpx.Client(timeout=60) as http:
            while not self._done.wait(self._pause):
                url, start = self._url(), time.monotonic()
                try:
                    answer = self._ask(http, url)
                except httpx.TransportError as error:
                    self._note(None, f"{url}: {type(error).__name__}: {error}", start)
                else:
                    self._note(answer.status_code, answer.text if answer.is_error else None, start)

    def _note(self, status: int | None, failure: str | None, start: float) -> None:
        with self._lock:
            if status is not None:
                self.statuses[status] += 1
            if failure is not None:
                self.failed.set()
                self.failures += [failure] if len(self.failures) < _KEPT_FAILURES else []
            self.slowest = max(self.slowest, time.monotonic() - start)


def recommend(http: httpx.Client, url: str) -> httpx.Response:
    """Ask for what follows on an item that is there."""
    return http.post(f"{url}/v1/domains/shop/recommendations", json={"history": ["hammer"]})


def _is_ready(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
