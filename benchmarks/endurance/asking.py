"""Shoppers: recommendations alone and in batches, similar items; every answer is judged."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.endurance.ledger import SHELVES, Ledger
from benchmarks.endurance.tally import Caller, Tally

_BATCH = 8
_LIMITS = (5, 10, 20)
_LONGEST_DELAY = 1.0  # seconds that a shopper catches up; what was due before is left out
_LEAST_PRICE = 20.0  # above it a shelf holds more items than anyone asks for
_UNKNOWN = "an item that nobody put"


@dataclass(frozen=True)
class Questions:
    """What can be asked.

    Args:
        domain: its name.
        histories: ids of items that stay, oldest first.
        texts: of items, for histories that are told in words.
        versions: of the adapters that may answer.
    """

    domain: str
    histories: Sequence[Sequence[str]]
    texts: Sequence[str]
    versions: frozenset[str]

    @property
    def path(self) -> str:
        return f"/v1/domains/{self.domain}"

    def body(self, rng: np.random.Generator) -> dict[str, Any]:
        """A recommendation request, by chance of one of several kinds."""
        history: list[object] = list(self.histories[int(rng.integers(len(self.histories)))])
        body: dict[str, Any] = {"history": history, "limit": int(rng.choice(_LIMITS))}
        kind = rng.integers(8)
        if kind == 0:
            shelves = [f"shelf {number}" for number in rng.integers(SHELVES, size=2)]
            price = round(float(rng.uniform(_LEAST_PRICE, 100)), 2)
            body |= {"filter": {"shelf": shelves, "price": {"lte": price}}, "return_attributes": True}
        elif kind == 1:
            body["history"] = [*history, _UNKNOWN]
        elif kind == 2:
            body["exclude_history"] = False
        elif kind == 3:
            body["history"] = [_UNKNOWN]
        elif kind == 4 and rng.random() < 0.2:  # each costs as much as all the others together
            body["history"] = [{"text": self.texts[int(rng.integers(len(self.texts)))]}]
        return body


class Shopper:
    """Asks one replica at a steady rate, on a thread of its own, until it is over."""

    def __init__(self, port: int, questions: Questions, ledger: Ledger, tally: Tally, seed: int) -> None:
        self._port, self._questions, self._ledger, self._tally = port, questions, ledger, tally
        self._rng = np.random.default_rng([seed, port])

    def run(self, rate: float, over: threading.Event) -> None:
        """Ask ``rate`` times a second on average."""
        due = time.monotonic()
        with Caller(self._port, self._tally) as caller:
            while not over.is_set():
                due = max(due + self._rng.exponential(1 / rate), time.monotonic() - _LONGEST_DELAY)
                if over.wait(max(0.0, due - time.monotonic())):
                    return
                self._ask(caller)

    def _ask(self, caller: Caller) -> None:
        asked, kind = time.monotonic(), self._rng.random()
        path = self._questions.path
        if kind < 0.1:
            bodies = [self._questions.body(self._rng) for _ in range(_BATCH)]
            answer = caller.call("batch", "POST", f"{path}/recommendations:batch", body={"requests": bodies})
            results = answer["results"] if answer else []
            if answer and len(results) != len(bodies):
                self._tally.fault("batch of another length", f"{len(results)} of {len(bodies)}")
            for body, result in zip(bodies, results, strict=False):
                self._judge(body, result, asked)
        elif kind < 0.25:
            item_id = self._ledger.staying.item_ids[self._rng.integers(len(self._ledger.staying))]
            answer = caller.call("similar", "GET", f"{path}/items/{item_id}/similar?limit=10")
            if answer:
                self._judge({"history": [item_id], "limit": 10, "similar": True}, answer, asked)
        else:
            body = self._questions.body(self._rng)
            answer = caller.call("recommend", "POST", f"{path}/recommendations", body=body)
            if answer:
                self._judge(body, answer, asked)

    def _judge(self, body: dict[str, Any], answer: dict[str, Any], asked: float) -> None:
        for what in faults_of(body, answer, self._questions.versions):
            self._tally.fault(what, f"{body} {answer}")
        for item in answer["items"]:
            if not self._ledger.may_come(item["item_id"], self._port, asked):
                self._tally.fault("an item that is gone", f"{item} from port {self._port}")


def faults_of(body: dict[str, Any], answer: dict[str, Any], versions: frozenset[str]) -> list[str]:
    """What is wrong with an answer, as far as it can be told without knowing the model."""
    items, history = answer["items"], body["history"]
    ids, scores = [item["item_id"] for item in items], [item["score"] for item in items]
    unknown = [entry for entry in history if entry == _UNKNOWN]
    source = "popular" if unknown == history else "model"
    wrong = {
        "another number of items than was asked for": len(items) != body["limit"],
        "an item twice": len(set(ids)) != len(ids),
        "a worse item first": scores != sorted(scores, reverse=True),
        "a score that is none": not np.isfinite(scores).all(),
        "an adapter that was never chosen": answer["adapter_version"] not in versions,
        "a source that is not due": any(item["source"] != source for item in items),
        "an item of the history": body.get("exclude_history", True) and not set(ids).isdisjoint(_ids(history)),
        "other unknown items than there were": "similar" not in body and answer["unknown_history_items"] != unknown,
        "an item that the filter forbids": not all(_allowed(item, body.get("filter")) for item in items),
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]


def _ids(history: Sequence[object]) -> set[str]:
    return {entry for entry in history if isinstance(entry, str)}


def _allowed(item: dict[str, Any], wanted: dict[str, Any] | None) -> bool:
    if wanted is None:
        return True
    attributes = item["attributes"]
    return attributes["shelf"] in wanted["shelf"] and bool(attributes["price"] <= wanted["price"]["lte"])
