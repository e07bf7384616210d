"""The texts that wait to be encoded: in batches of one length each, and no caller behind a long one of another."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
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
    """

    texts: Sequence[str]
    vectors: TextVectors
    answer: "asyncio.Future[None]"
    submitted: float
    missing: int


class WaitingText(NamedTuple):
    """The text in ``row`` of a call; they compare by their turn."""

    turn: int
    arrival: int
    call: Call
    row: int
    token_ids: Sequence[int]


class WaitingTexts:
    """Texts by length, and in the order of their turns.

    The first text of a call may come next, and each further one a batch later. So the texts of a bulk are taken one
    after the other, those of other callers in between, and none waits for ever: as fair queueing does it, with a turn
    for virtual time (Demers, Keshav, Shenker, "Analysis and Simulation of a Fair Queueing Algorithm", SIGCOMM 1989).
    """

    def __init__(self) -> None:
        self._by_length: dict[int, list[WaitingText]] = {}  # heaps
        self._turn = 0
        self._arrivals = count()

    def add(self, call: Call, tokens: Sequence[Sequence[int]]) -> None:
        """Let the texts of ``call`` wait, whose token ids are ``tokens``."""
        for row, token_ids in enumerate(tokens):
            text = WaitingText(self._turn + row, next(self._arrivals), call, row, token_ids)
            heappush(self._by_length.setdefault(len(token_ids), []), text)

    def take(self, batch_size: Callable[[int], int]) -> list[WaitingText]:
        """The text whose turn is next, with others of its length: ``batch_size(length)`` at most; none if none waits.

        Those of a caller who went away are dropped.
        """
        while self._by_length:
            length = min(self._by_length, key=lambda length: self._by_length[length][0])
            texts, limit = self._by_length[length], batch_size(length)
            batch: list[WaitingText] = []
            while texts and len(batch) < limit:
                text = heappop(texts)
                if not text.call.answer.done():
                    batch.append(text)
            if not texts:
                del self._by_length[length]
            if batch:
                self._turn += 1
                return batch
        return []
