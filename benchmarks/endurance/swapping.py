"""Operators: adapters put and rolled back, and a second domain that comes and goes."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.endurance.tally import Caller, Tally
from models.adapter import DomainAdapter, write_adapter
from models.store import ArtifactStore
from models.table import CodeTable
from training.dataset import Items

_PAUSE = 5.0  # seconds between one choice that both replicas serve and the next
_POLL = 0.05
_SERVED_SECONDS = 120.0
_PASSING = "passing"
_PASSING_ITEMS = 20


@dataclass(frozen=True)
class Operator:
    """Chooses adapters by turns at both replicas, on a thread of its own.

    Args:
        ports: of the replicas.
        path: of the domain.
        sources: folders of the adapters; the first is served when it begins, and when it ends.
        items: some of which a second domain is given.
    """

    ports: Sequence[int]
    path: str
    sources: Sequence[Path]
    items: Items
    tally: Tally

    def run(self, over: threading.Event) -> None:
        """Choose one after the other, and wait each time until both replicas serve it."""
        turns = cycle(self.ports)
        steps = cycle(self._steps())
        while not over.is_set():
            with Caller(next(turns), self.tally) as caller:
                next(steps)(caller)
            over.wait(_PAUSE)
        with Caller(next(turns), self.tally) as caller:
            self.choose(caller, self.sources[0])

    def choose(self, caller: Caller, source: Path) -> None:
        """Put an adapter, and wait until all replicas serve it."""
        body = {"source": str(source)}
        answer = caller.call("swap", "PUT", f"{_admin(self.path)}/adapter", (202,), body)
        self._until_served(caller, self.path, answer)

    def _steps(self) -> list[Callable[[Caller], None]]:
        """To each of the others and, by a rollback, back to the first; then the domain that comes and goes."""
        there_and_back: list[Callable[[Caller], None]] = []
        for other in self.sources[1:]:
            there_and_back += [lambda caller, source=other: self.choose(caller, source), self._roll_back]  # type: ignore[misc]
        return [*there_and_back, self._come_and_go]

    def _roll_back(self, caller: Caller) -> None:
        answer = caller.call("rollback", "POST", f"{_admin(self.path)}/adapter:rollback", (202,))
        self._until_served(caller, self.path, answer)

    def _come_and_go(self, caller: Caller) -> None:
        path = f"/v1/domains/{_PASSING}"
        answer = caller.call("new domain", "PUT", f"{_admin(path)}/adapter", (202,), {"source": str(self.sources[0])})
        self._until_served(caller, path, answer)
        pairs = zip(self.items.item_ids[:_PASSING_ITEMS], self.items.texts, strict=False)
        body = [{"item_id": item_id, "text": text} for item_id, text in pairs]
        caller.call("bulk of the new domain", "POST", f"{path}/items:bulk", body=body)
        question = {"history": [self.items.item_ids[0]], "limit": _PASSING_ITEMS}
        found = caller.call("recommend in the new domain", "POST", f"{path}/recommendations", body=question)
        if found and len(found["items"]) != _PASSING_ITEMS - 1:
            self.tally.fault("a new domain of another size", str(found))
        caller.call("delete the new domain", "DELETE", _admin(path), (204,))
        for port in self.ports:
            with Caller(port, self.tally) as other:
                self._wait(other, path, lambda document: "domain" not in document, expected=(200, 404))

    def _until_served(self, caller: Caller, path: str, answer: dict[str, Any] | None) -> None:
        if answer is None:
            return
        version = answer["adapter_version"]
        for port in self.ports:
            with Caller(port, self.tally) as other:
                self._wait(other, path, lambda document: document.get("adapter_version") == version, (200, 404, 503))
        operation = f"/v1/admin/operations/{answer['id']}"
        self._wait(caller, operation, lambda document: document["state"] in ("succeeded", "failed"), (200,))
        final = caller.call("operation", "GET", operation)
        if final and final["state"] != "succeeded":
            self.tally.fault("an operation that failed", str(final))

    def _wait(
        self, caller: Caller, path: str, served: Callable[[dict[str, Any]], bool], expected: Sequence[int]
    ) -> None:
        deadline = time.monotonic() + _SERVED_SECONDS
        while (document := caller.call("look", "GET", path, expected)) is not None and not served(document):
            if time.monotonic() > deadline:
                self.tally.fault("a choice that is not served", f"{path} at {caller.port}: {document}")
                return
            time.sleep(_POLL)


def renumbered(store: ArtifactStore, adapter: DomainAdapter, domain: str) -> Path:
    """The same adapter under another numbering of its codes, which makes every stored code void; returns where it lies.

    Centroids and their table rows are turned by one place within each codebook.
    """
    quantizer, layout = adapter.quantizer, adapter.quantizer.layout
    books, size = quantizer.centroids.shape[:2]  # fingerprints, which may follow, have no centroids
    other = replace(quantizer, centroids=np.ascontiguousarray(np.roll(quantizer.centroids, 1, axis=1)))
    rows = adapter.table.rows.copy()  # [D * K, width]
    of_centroids = rows[: books * size].reshape(books, size, -1)
    rows[: books * size] = np.roll(of_centroids, 1, axis=1).reshape(books * size, -1)
    manifest = adapter.bundle.manifest.model_copy(update={"quantizer": other.sha256})
    return write_adapter(store.adapters(domain), manifest, other, CodeTable(layout, rows), adapter.popularity).path


def _admin(path: str) -> str:
    return path.replace("/v1/", "/v1/admin/", 1)
