"""The best items of one user so far, kept while a kernel goes over more: a heap with the worst at its root.

It lies in a row of the arrays that a search returns, ``scores`` float32 [k] and ``slots`` int64 [k].
"""

import numpy as np

from service.inference.index.compiling import kernel
from service.inference.index.protocol import Scores, Slots


@kernel()
def is_better(score: np.float32, slot: int, other_score: np.float32, other_slot: int, popularity: Scores) -> bool:
    """Whether an item comes before another: by score, then by popularity, then by slot."""
    if score != other_score:
        return bool(score > other_score)
    if popularity[slot] != popularity[other_slot]:
        return bool(popularity[slot] > popularity[other_slot])
    return slot < other_slot


@kernel()
def offer(score: np.float32, slot: int, scores: Scores, slots: Slots, size: int, popularity: Scores) -> int:
    """Keep an item if it is among the best; returns how many are kept now, of ``size`` before."""
    if size < len(scores):
        place = size
        while place > 0:
            parent = (place - 1) // 2
            if not is_better(scores[parent], slots[parent], score, slot, popularity):
                break
            scores[place], slots[place] = scores[parent], slots[parent]
            place = parent
        scores[place], slots[place] = score, slot
        return size + 1
    if is_better(score, slot, scores[0], slots[0], popularity):
        _sink(score, slot, scores, slots, size, popularity)
    return size


@kernel()
def sort_best(scores: Scores, slots: Slots, size: int, popularity: Scores) -> None:
    """Order the ``size`` items that were kept, best first, and fill up with -inf and -1."""
    for last in range(size - 1, 0, -1):
        score, slot = scores[last], slots[last]
        scores[last], slots[last] = scores[0], slots[0]
        _sink(score, slot, scores, slots, last, popularity)
    scores[size:] = -np.inf
    slots[size:] = -1


@kernel()
def _sink(score: np.float32, slot: int, scores: Scores, slots: Slots, size: int, popularity: Scores) -> None:
    """Replace the root of a heap of ``size`` by an item."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        right = child + 1
        if right < size and is_better(scores[child], slots[child], scores[right], slots[right], popularity):
            child = right
        if not is_better(score, slot, scores[child], slots[child], popularity):
            break
        scores[place], slots[place] = scores[child], slots[child]
        place = child
    scores[place], slots[place] = score, slot
