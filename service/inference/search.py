"""The best items of a snapshot for user vectors, and its most popular ones: both segments searched, results merged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.catalog.attributes import Mask
from service.catalog.filters import Filter
from service.catalog.segment import Segment
from service.catalog.snapshot import DomainSnapshot

# Up to here excluded items are searched for and dropped, which lets queries share a search; beyond, a mask is cheaper.
_FEW_EXCLUDED = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """How many items a query wants, which it does not want, and which the user has had.

    Items with one code have one score. Among those, what the user has not had comes before what they have, then the
    more popular, then the smaller id.
    """

    limit: int
    exclude: frozenset[str] = field(default_factory=frozenset)
    seen: frozenset[str] = field(default_factory=frozenset)


class Hit(NamedTuple):
    item_id: str
    score: float
    popularity: float
    seen: bool = False


def nearest(
    snapshot: DomainSnapshot,
    wanted: Filter | None,
    user_vectors: npt.NDArray[np.float32],
    selections: Sequence[Selection],
) -> list[list[Hit]]:
    """The recommendable items with the highest scores for each user, those of equal score as :class:`Selection` says.

    Args:
        snapshot: what is searched.
        wanted: the filter that all these queries share.
        user_vectors: float32 [q, width], of length one.
        selections: one for each user.
    """
    hits: list[list[Hit]] = [[] for _ in selections]
    for segment, allowed in snapshot.recommendable(wanted):
        excluded = [_slots(segment, selection.exclude | selection.seen) for selection in selections]
        few = [row for row, slots in enumerate(excluded) if len(slots) <= _FEW_EXCLUDED]
        if few:
            chosen = [selections[row] for row in few]
            found = _search(segment, allowed, user_vectors[few], chosen, [excluded[row] for row in few])
            for row, more in zip(few, found, strict=True):
                hits[row] += more
        for row in set(range(len(selections))).difference(few):
            mask = allowed.copy()
            mask[list(excluded[row])] = False
            hits[row] += _search(segment, mask, user_vectors[[row]], [selections[row]], [set()])[0]
        for row, selection in enumerate(selections):
            hits[row] += _seen(segment, allowed, user_vectors[row], selection)
    return [_best(found, selection.limit) for found, selection in zip(hits, selections, strict=True)]


def most_popular(snapshot: DomainSnapshot, wanted: Filter | None, selection: Selection) -> list[Hit]:
    """The recommendable items with the most interactions, which are their score; those of equal popularity by id."""
    hits: list[Hit] = []
    for segment, allowed in snapshot.recommendable(wanted):
        excluded = _slots(segment, selection.exclude)
        slots = segment.most_popular(selection.limit + len(excluded), allowed)
        hits += [_popular(segment, slot, selection) for slot in slots if slot not in excluded]
    return _best(hits, selection.limit)


def _search(
    segment: Segment,
    allowed: Mask,
    user_vectors: npt.NDArray[np.float32],
    selections: Sequence[Selection],
    excluded: Sequence[set[int]],
) -> list[list[Hit]]:
    available = int(np.count_nonzero(allowed))
    if not available:
        return [[] for _ in selections]
    k = max(selection.limit + len(slots) for selection, slots in zip(selections, excluded, strict=True))
    mask = None if available == len(segment) else allowed
    scores, slots = segment.index.search(user_vectors, min(k, available), mask)
    return [
        [
            Hit(segment.ids[slot], score, float(segment.popularity[slot]))
            for score, slot in zip(row_scores, row_slots, strict=True)
            if slot >= 0 and slot not in unwanted
        ][: selection.limit]
        for row_scores, row_slots, unwanted, selection in zip(
            scores.tolist(), slots.tolist(), excluded, selections, strict=True
        )
    ]


def _seen(segment: Segment, allowed: Mask, user_vector: npt.NDArray[np.float32], selection: Selection) -> list[Hit]:
    """What the user has had, scored apart: a search would not know to put it after others of the same score."""
    had = sorted(_slots(segment, selection.seen - selection.exclude))
    slots = np.array([slot for slot in had if allowed[slot]], dtype=np.int64)
    scores = segment.index.scores(user_vector, slots).tolist()
    return [
        Hit(segment.ids[slot], score, float(segment.popularity[slot]), seen=True)
        for slot, score in zip(slots.tolist(), scores, strict=True)
    ]


def _popular(segment: Segment, slot: int, selection: Selection) -> Hit:
    popularity, item_id = float(segment.popularity[slot]), segment.ids[slot]
    return Hit(item_id, popularity, popularity, item_id in selection.seen)


def _slots(segment: Segment, item_ids: frozenset[str]) -> set[int]:
    return {segment.slots[item_id] for item_id in item_ids if item_id in segment.slots}


def _best(hits: list[Hit], limit: int) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.seen, -hit.popularity, hit.item_id))[:limit]
