"""From nominees, which may be wrong in the last bits and hold some that are not wanted, to an answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.inference.index.best import offer, sort_best
from service.inference.index.compiling import kernel
from service.inference.index.items import for_kernels
from service.inference.index.protocol import Mask, Scores, Slots
from service.inference.index.scoring import CodeScorer, fill_for, padded, score

ALL: Mask = np.zeros(0, dtype=np.bool_)  # what kernels take for "every item is allowed"


_SPARE = 16  # nominees beyond the k asked for: enough that few queries must be searched again
_GROWTH = 4

Nominate = Callable[[Scores, int], tuple[Scores, Slots]]


@dataclass(frozen=True, eq=False)
class Ranker:
    """Gives the best of nominees, whose scores FAISS rounds in another way, so that it cannot order them for good.

    Args:
        scorer: gives the scores.
        popularity: float32 [n].
        rounding: by how much a score of a user of length one can differ from FAISS's.
    """

    scorer: CodeScorer
    popularity: Scores
    rounding: float

    @classmethod
    def of(cls, scorer: CodeScorer, popularity: Scores) -> "Ranker":
        """Either score is off by at most ``width * 2**-24`` of what it adds up: FAISS's one vector of length one, the
        look-up table's the rows one by one, which may be longer than their sum."""
        lengths = np.linalg.norm(scorer.rows, axis=1).reshape(scorer.layout.num_codebooks, -1)
        stretch = float(lengths.max(axis=1).sum()) * float(scorer.inverse_norms.max(initial=0))
        return cls(scorer, for_kernels(popularity), scorer.rows.shape[1] * 2.0**-24 * (1 + stretch))

    def search(
        self, nominate: Nominate, users: Scores, k: int, allowed: Mask | None, excluded: Sequence[Slots] | None
    ) -> tuple[Scores, Slots]:
        """The best ``k`` of all that can be nominated, as :meth:`VectorIndex.search` gives them.

        Nominees are enough when the best k of them beat all that were left out by more than the rounding error; when
        they do not, for instance because more than k items share a code, more are asked for.

        Args:
            nominate: users float32 [q, width] and how many ─► scores float32 [q, m] and slots int64 [q, m], best
                first, -1 where there is none.
            users: float32 [q, width].
            k: at least 1.
            allowed: bool [n]; None for all.
            excluded: slots for each user; None for none.
        """
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        slots = np.full((len(users), k), -1, dtype=np.int64)
        rounding = self.rounding * np.linalg.norm(users, axis=1)
        pending = np.arange(len(users) if len(self.popularity) else 0)
        fetch = k + (max(map(len, excluded)) if excluded else 0) + _SPARE
        while len(pending):
            fetch = min(fetch, len(self.popularity))
            found, nominees = nominate(users[pending], fetch)
            barred = None if excluded is None else [excluded[row] for row in pending.tolist()]
            best, places = self._rank(users[pending], nominees, k, allowed, barred)
            settled = (nominees[:, -1] < 0) | (best[:, -1] > found[:, -1] + rounding[pending])
            settled |= nominees.shape[1] == len(self.popularity)
            scores[pending[settled]], slots[pending[settled]] = best[settled], places[settled]
            pending = pending[~settled]
            fetch *= _GROWTH
        return scores, slots

    def _rank(
        self, users: Scores, nominees: Slots, k: int, allowed: Mask | None, excluded: Sequence[Slots] | None
    ) -> tuple[Scores, Slots]:
        scores = np.empty((len(users), k), dtype=np.float32)
        slots = np.empty((len(users), k), dtype=np.int64)
        _rank(
            self.scorer.rows, padded(users), self.scorer.codes, self.scorer.inverse_norms, self.popularity, nominees,
            ALL if allowed is None else for_kernels(allowed), *flattened(excluded, len(users)), scores, slots,
        )  # fmt: skip
        return scores, slots


def flattened(excluded: Sequence[Slots] | None, num_users: int) -> tuple[Slots, Slots]:
    """Sorted slots, one user's after the other's, and where each user's start: int64 [m] and int64 [q + 1]."""
    starts = np.zeros(num_users + 1, dtype=np.int64)
    if not excluded:
        return np.zeros(0, dtype=np.int64), starts
    np.cumsum([len(slots) for slots in excluded], out=starts[1:])
    return np.concatenate([np.sort(slots) for slots in excluded]).astype(np.int64, copy=False), starts


@kernel()
def holds(slots: Slots, start: int, stop: int, slot: int) -> bool:
    """Whether the sorted ``slots[start:stop]`` hold a slot."""
    while start < stop:
        middle = (start + stop) // 2
        if slots[middle] < slot:
            start = middle + 1
        elif slots[middle] > slot:
            stop = middle
        else:
            return True
    return False


@kernel()
def _rank(
    rows: Scores,
    users: Scores,
    codes: Any,
    inverse_norms: Scores,
    popularity: Scores,
    nominees: Slots,
    allowed: Mask,
    excluded: Slots,
    excluded_starts: npt.NDArray[np.int64],
    scores: Scores,
    slots: Slots,
) -> None:
    codebook_size = len(rows) // codes.shape[1]
    entries = np.empty((1, len(rows)), dtype=np.float32)
    for user in range(len(users)):
        entries[:] = np.nan
        kept = 0
        for slot in nominees[user]:
            if slot < 0 or (len(allowed) and not allowed[slot]):
                continue
            if holds(excluded, excluded_starts[user], excluded_starts[user + 1], slot):
                continue
            fill_for(rows, users, user, codes, slot, entries)
            value = score(entries[0], codes, inverse_norms, codebook_size, slot)
            kept = offer(value, slot, scores[user], slots[user], kept, popularity)
        sort_best(scores[user], slots[user], kept, popularity)
