"""The best items of a snapshot for user vectors, and its most popular ones: both segments searched, results merged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.catalog.attributes import Mask
from service.catalog.filters import Filter
from service.catalog.segment import Segment
from service.catalog.snapshot import DomainSnapshot

Slots = npt.NDArray[np.int64]


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
        matching = int(np.count_nonzero(allowed))
        if not matching:
            continue
        excluded = [_slots(segment, {*selection.exclude, *selection.seen}) for selection in selections]
        k = min(max(selection.limit for selection in selections), matching)
        mask = None if matching == len(segment) else allowed
        scores, slots = segment.index.search(user_vectors, k, mask, excluded)
        for row, (found, selection) in enumerate(zip(_hits(segment, scores, slots), selections, strict=True)):
            hits[row] += found
            if not selection.seen <= selection.exclude:
                hits[row] += _seen(segment, allowed, user_vectors[row], selection)
    return [_best(found, selection.limit) for found, selection in zip(hits, selections, strict=True)]


def most_popular(snapshot: DomainSnapshot, wanted: Filter | None, selection: Selection) -> list[Hit]:
    """The recommendable items with the most interactions, which are their score; those of equal popularity by id."""
    hits: list[Hit] = []
    for segment, allowed in snapshot.recommendable(wanted):
        excluded = set(_slots(segment, selection.exclude).tolist())
        slots = segment.most_popular(selection.limit + len(excluded), allowed)
        hits += [_popular(segment, slot, selection) for slot in slots if slot not in excluded]
    return _best(hits, selection.limit)


def _hits(segment: Segment, scores: npt.NDArray[np.float32], slots: Slots) -> list[list[Hit]]:
    """What a search of a segment found, for each user."""
    found = slots >= 0
    chosen = slots[found]
    hits = list(map(Hit, segment.ids.many(chosen), scores[found].tolist(), segment.popularity[chosen].tolist()))
    ends = np.cumsum(found.sum(axis=1)).tolist()
    return [hits[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _seen(segment: Segment, allowed: Mask, user_vector: npt.NDArray[np.float32], selection: Selection) -> list[Hit]:
    """What the user has had, scored apart: a search would not know to put it after others of the same score."""
    slots = _slots(segment, selection.seen - selection.exclude)
    slots = slots[allowed[slots]]
    columns = segment.index.scores(user_vector, slots).tolist(), segment.popularity[slots].tolist()
    return [Hit(*values, seen=True) for values in zip(segment.ids.many(slots), *columns, strict=True)]


def _popular(segment: Segment, slot: int, selection: Selection) -> Hit:
    popularity, item_id = float(segment.popularity[slot]), segment.ids[slot]
    return Hit(item_id, popularity, popularity, item_id in selection.seen)


def _slots(segment: Segment, item_ids: Iterable[str]) -> Slots:
    """Where those of some items are that are in a segment."""
    slots = segment.ids.find(list(item_ids))
    return slots[slots >= 0].astype(np.int64)


def _best(hits: list[Hit], limit: int) -> list[Hit]:
    if all(a.score > b.score for a, b in pairwise(hits)):  # as one segment's are, mostly
        return hits[:limit]
    return sorted(hits, key=lambda hit: (-hit.score, hit.seen, -hit.popularity, hit.item_id))[:limit]
