"""What was done, and every answer that was not what it should be."""

import threading
from collections import Counter
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self

import httpx

_SHOWN = 300  # characters of an answer that is told of


class Tally:
    """Counts, shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def fault(self, what: str, detail: str) -> None:
        """One thing that was wrong; of each kind the first is told."""
        with self._lock:
            self.faults[what] += 1
            if what not in self.examples:
                self.examples[what] = detail[:_SHOWN]
                print(f"fault: {what}: {detail[:_SHOWN]}", flush=True)


class Caller:
    """One connection to one replica. An answer of another status than is expected, or none, is a fault."""

    def __init__(self, port: int, tally: Tally) -> None:
        self.port, self.tally = port, tally
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(
        self, what: str, method: str, path: str, expected: Collection[int] = (200,), body: object = None
    ) -> dict[str, Any] | None:
        """The JSON of an answer with an expected status (empty where it has none), else None, and the fault counted."""
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            self.tally.fault(f"{what}: {type(error).__name__}", f"{method} {path}: {error}")
            return None
        if answer.status_code not in expected:
            self.tally.fault(f"{what}: {answer.status_code}", f"{method} {path}: {answer.text}")
            return None
        self.tally.count(what)
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document
