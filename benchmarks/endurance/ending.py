"""The end: do both replicas answer as one does that was started just now, and is the catalogue what it should be?"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.endurance.ledger import Ledger
from benchmarks.endurance.tally import Caller

_SETTLED_SECONDS = 60.0
_POLL = 0.05
_BATCH = 50
_LAST = "the last item"


def settle(callers: Sequence[Caller], path: str, ledger: Ledger) -> None:
    """Wait until every replica has applied every change: one more item is put, which comes after all of them."""
    callers[0].call("put", "PUT", f"{path}/items/{_LAST}", (200, 201), {"text": ledger.staying.texts[0]})
    for caller in callers:
        deadline = time.monotonic() + _SETTLED_SECONDS
        while "items" not in (caller.call("look", "GET", f"{path}/items/{_LAST}/similar", (200, 404)) or {}):
            if time.monotonic() > deadline:
                caller.tally.fault("a replica that does not catch up", f"port {caller.port}")
                return
            time.sleep(_POLL)


def differing(callers: Mapping[str, Caller], path: str, bodies: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Of each replica but the last, how many of the questions it answers otherwise than the last one does.

    Answers are compared item for item and score for score, bit for bit.
    """
    answers = {name: _answers(caller, path, bodies) for name, caller in callers.items()}
    fresh = answers.pop(list(callers)[-1])
    return {
        name: sum(mine != other for mine, other in zip(found, fresh, strict=True)) for name, found in answers.items()
    }


def check_catalogue(caller: Caller, path: str, ledger: Ledger) -> None:
    """Hold every item that was written, and their number, against the ledger."""
    for item_id, written in ledger.written.items():
        found = caller.call("get", "GET", f"{path}/items/{item_id}")
        told = None if found is None else (found["text"], found["attributes"], found["available"])
        if told != (written.text, written.attributes, written.available):
            caller.tally.fault("an item that is not as it was written", f"{item_id}: {found} and not {written}")
    details = caller.call("look", "GET", path)
    expected = len(ledger.staying) + len(ledger.written) + 1  # the last item
    if details and details["items"] != expected:
        caller.tally.fault("another number of items", f"{details['items']} and not {expected}")


def _answers(caller: Caller, path: str, bodies: Sequence[dict[str, Any]]) -> list[object]:
    found: list[object] = []
    for start in range(0, len(bodies), _BATCH):
        requests = {"requests": bodies[start : start + _BATCH]}
        answer = caller.call("compared batch", "POST", f"{path}/recommendations:batch", body=requests)
        results = (
            answer["results"] if answer else [{"items": None, "adapter_version": None}] * len(requests["requests"])
        )
        found += [(result["adapter_version"], result["items"]) for result in results]
    return found
