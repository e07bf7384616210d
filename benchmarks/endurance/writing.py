"""Feeds: items put, alone and in bulk, patched, withdrawn, deleted; every answer is held against the ledger."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.endurance.ledger import SHELVES, Ledger, Written
from benchmarks.endurance.tally import Caller, Tally
from training.readers.source import AttributeValue

_ITEMS = 300  # of each feed, put and deleted over and over
_BULK = 16
_PAUSE = 0.25  # seconds between writes
_STEPS = (("put", 0.35), ("bulk", 0.1), ("patch", 0.15), ("withdraw", 0.1), ("return", 0.1), ("delete", 0.2))


class Feed:
    """Writes items of its own through one replica, on a thread of its own, until it is over."""

    def __init__(self, port: int, path: str, ledger: Ledger, tally: Tally, seed: int) -> None:
        self._port, self._path, self._ledger, self._tally = port, path, ledger, tally
        self._rng = np.random.default_rng([seed, port])
        self._ids = [f"feed-{port}/{number}" for number in range(_ITEMS)]  # an id may hold a slash

    def run(self, over: threading.Event) -> None:
        """Write, and look at what came of it, a few times a second."""
        names, shares = zip(*_STEPS, strict=True)
        steps = {
            "put": self._put,
            "bulk": self._bulk,
            "patch": self._patch,
            "withdraw": lambda caller: self._set_available(caller, available=False),
            "return": lambda caller: self._set_available(caller, available=True),
            "delete": self._delete,
        }
        with Caller(self._port, self._tally) as caller:
            while not over.wait(_PAUSE):
                steps[str(self._rng.choice(names, p=shares))](caller)

    def _put(self, caller: Caller) -> None:
        (item_id,) = self._some_ids(1)
        written, before = self._new(item_id), self._ledger.get(item_id)
        self._ledger.before_write(item_id)
        expected = 201 if before is None else 200
        body = {"text": written.text, "attributes": written.attributes}
        answer = caller.call("put", "PUT", f"{self._path}/items/{item_id}", (expected,), body)
        self._settle(item_id, written, answer, _status(before, written))
        # When the call returns, this process can recommend the item.
        caller.call("look up", "GET", f"{self._path}/items/{item_id}/similar?limit=1")

    def _bulk(self, caller: Caller) -> None:
        ids = self._some_ids(_BULK)
        writes = {item_id: self._new(item_id) for item_id in ids}
        before = {item_id: self._ledger.get(item_id) for item_id in ids}
        for item_id in ids:
            self._ledger.before_write(item_id)
        body = [
            {"item_id": item_id, "text": written.text, "attributes": written.attributes}
            for item_id, written in writes.items()
        ]
        answer = caller.call("bulk", "POST", f"{self._path}/items:bulk", body=body)
        results = {result["item_id"]: result for result in answer["results"]} if answer else {}
        for item_id, written in writes.items():
            self._settle(item_id, written, results.get(item_id), _status(before[item_id], written))

    def _patch(self, caller: Caller) -> None:
        attributes: dict[str, AttributeValue] = {"price": self._price(), "seen": int(self._rng.integers(1000))}
        self._change(
            caller, {"attributes": attributes}, lambda was: replace(was, attributes={**was.attributes, **attributes})
        )

    def _set_available(self, caller: Caller, *, available: bool) -> None:
        self._change(caller, {"available": available}, lambda was: replace(was, available=available))

    def _change(self, caller: Caller, body: dict[str, Any], changed: Callable[[Written], Written]) -> None:
        (item_id,) = self._some_ids(1)
        before = self._ledger.get(item_id)
        self._ledger.before_write(item_id)
        path = f"{self._path}/items/{item_id}"
        if before is None:
            caller.call("patch of nothing", "PATCH", path, (404,), body)
            self._ledger.wrote(item_id, None, self._port)
            return
        written = changed(before)
        self._settle(item_id, written, caller.call("patch", "PATCH", path, body=body), _status(before, written))

    def _delete(self, caller: Caller) -> None:
        (item_id,) = self._some_ids(1)
        before = self._ledger.get(item_id)
        self._ledger.before_write(item_id)
        path = f"{self._path}/items/{item_id}"
        if before is None:
            caller.call("delete of nothing", "DELETE", path, (404,))
        elif caller.call("delete", "DELETE", path, (204,)) is None:
            return
        self._ledger.wrote(item_id, None, self._port)
        caller.call("look up what is gone", "GET", f"{path}/similar?limit=1", (404,))

    def _settle(self, item_id: str, written: Written, answer: dict[str, Any] | None, status: str) -> None:
        if answer is None:
            return  # counted as a fault; whether it was stored is not known, and the end will tell
        if answer["status"] != status:
            self._tally.fault("a write of another status", f"{item_id}: {answer} and not {status}")
        self._ledger.wrote(item_id, written, self._port)

    def _some_ids(self, count: int) -> list[str]:
        return [self._ids[place] for place in self._rng.choice(_ITEMS, size=count, replace=False)]

    def _new(self, item_id: str) -> Written:
        """Another text, or as often as not the one that is there, under other attributes or the same."""
        before, chance = self._ledger.get(item_id), self._rng.random()
        if before is not None and chance < 0.2:
            return replace(before, available=True)
        texts = self._ledger.staying.texts
        text = before.text if before is not None and chance < 0.5 else texts[self._rng.integers(len(texts))]
        return Written(text, {"shelf": f"shelf {self._rng.integers(SHELVES)}", "price": self._price()})

    def _price(self) -> float:
        return round(float(self._rng.uniform(1, 100)), 2)


def _status(before: Written | None, written: Written) -> str:
    return "created" if before is None else "unchanged" if before == written else "updated"
