"""The texts that wait to be encoded: in batches of one length each, and nobody behind all of another's."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from models.text_encoder import TextVectors


@dataclass(slots=True, eq=False)
class Call:
    """Some texts that one caller waits for.

    Args:
        vectors: float16 [n, text_dim], filled in row by row.
        answer: done when all rows are filled in, or the caller went away.
        submitted: seconds on the clock that measures the wait.
        missing: rows not yet filled in.
        flow: whose call it is.
        waiting: rows that wait for their turn.
        is_abandoned: whether the caller went away.
    """

    texts: Sequence[str]
    vectors: TextVectors
    answer: "asyncio.Future[None]"
    submitted: float
    missing: int
    flow: Hashable = None
    waiting: int = 0
    is_abandoned: bool = False


class WaitingText(NamedTuple):
    """The text in ``row`` of a call; they compare by their turn within their flow."""

    turn: int
    arrival: int
    call: Call
    row: int
    token_ids: Sequence[int]


class WaitingTexts:
    """Texts by flow, such as a domain, and by length. Flows take turns, and so do the calls of each.

    Every text that is taken moves its flow one turn on, and the flow that is least far comes next; one that comes anew
    begins where the others are. So each flow that wants more than its part gets as many texts encoded as any other,
    however many it has waiting, and one that asks little comes at once: start-time fair queueing (Goyal, Vin, Cheng,
    SIGCOMM 1996). A batch is filled with texts of its length from all flows in the same way.
    """

    def __init__(self) -> None:
        self._flows: dict[Hashable, _Flow] = {}
        self._turn = 0  # of the flow that was least far when the last batch was taken

    def __len__(self) -> int:
        return sum(flow.waiting for flow in self._flows.values())

    def add(self, call: Call, tokens: Sequence[Sequence[int]]) -> None:
        """Let the texts of ``call`` wait, whose token ids are ``tokens``."""
        if call.is_abandoned:
            return
        flow = self._flows.get(call.flow)
        if flow is None:
            flow = self._flows[call.flow] = _Flow(self._turn)
        flow.add(call, tokens)

    def abandon(self, call: Call) -> None:
        """Drop what waits of a call: its caller went away."""
        call.is_abandoned = True
        flow = self._flows.get(call.flow)
        if flow is not None:
            flow.drop(call)

    def take(self, batch_size: Callable[[int], int]) -> list[WaitingText]:
        """The next text with others of its length, ``batch_size(length)`` at most; none if none waits."""
        flows = [flow for flow in self._flows.values() if flow.waiting]
        if not flows:
            self._flows.clear()
            return []
        first = min(flows, key=_turn_of)
        self._turn, length = first.turn, first.next_length()
        batch = _filled(length, batch_size(length), flows)
        # A flow that has none left is remembered until the others are as far as it is.
        self._flows = {name: flow for name, flow in self._flows.items() if flow.waiting or flow.turn > self._turn}
        return batch


class _Flow:
    """The texts of one flow, by length.

    The first text of a call may come next, and each further one a batch later: those of a bulk are taken one after the
    other, those of other calls in between, and none waits for ever, with a turn for virtual time (Demers, Keshav,
    Shenker, "Analysis and Simulation of a Fair Queueing Algorithm", SIGCOMM 1989).

    Args:
        turn: where it begins.
    """

    def __init__(self, turn: int) -> None:
        self.turn, self.waiting = turn, 0
        self._by_length: dict[int, list[WaitingText]] = {}  # heaps
        self._batches, self._dropped = 0, 0
        self._arrivals = count()

    def add(self, call: Call, tokens: Sequence[Sequence[int]]) -> None:
        for row, token_ids in enumerate(tokens):
            text = WaitingText(self._batches + row, next(self._arrivals), call, row, token_ids)
            heappush(self._by_length.setdefault(len(token_ids), []), text)
        call.waiting += len(tokens)
        self.waiting += len(tokens)

    def drop(self, call: Call) -> None:
        """Let a call wait no more. Its texts are removed when they are as many as those of others: now and then."""
        self.waiting -= call.waiting
        self._dropped += call.waiting
        call.waiting = 0
        if self._dropped > self.waiting:
            for length, texts in list(self._by_length.items()):
                kept = [text for text in texts if text.call.waiting]
                self._set(length, kept)
                heapify(kept)
            self._dropped = 0

    def has(self, length: int) -> bool:
        """Whether a text of this length waits; what was dropped is no longer before it then."""
        texts = self._by_length.get(length, [])
        while texts and not texts[0].call.waiting:
            heappop(texts)
            self._dropped -= 1
        self._set(length, texts)
        return bool(texts)

    def next_length(self) -> int:
        """The length of the text whose turn is next; one must wait."""
        lengths = [length for length in list(self._by_length) if self.has(length)]
        return min(lengths, key=lambda length: self._by_length[length][0])

    def take(self, length: int) -> WaitingText:
        """The next text of a length of which one waits."""
        texts = self._by_length[length]
        text = heappop(texts)
        self._set(length, texts)
        text.call.waiting -= 1
        self.waiting -= 1
        self.turn += 1
        return text

    def end_batch(self) -> None:
        """Let what comes from now on come after what was taken."""
        self._batches += 1

    def _set(self, length: int, texts: list[WaitingText]) -> None:
        if texts:
            self._by_length[length] = texts
        else:
            self._by_length.pop(length, None)


def _filled(length: int, most: int, flows: Sequence[_Flow]) -> list[WaitingText]:
    """A batch of texts of one length, the flow that is least far always first."""
    sharing = [(flow.turn, number, flow) for number, flow in enumerate(flows) if flow.has(length)]
    heapify(sharing)
    batch: list[WaitingText] = []
    taken_from = set()
    while sharing and len(batch) < most:
        _, number, flow = heappop(sharing)
        batch.append(flow.take(length))
        taken_from.add(flow)
        if flow.has(length):
            heappush(sharing, (flow.turn, number, flow))
    for flow in taken_from:
        flow.end_batch()
    return batch


def _turn_of(flow: _Flow) -> int:
    return flow.turn
