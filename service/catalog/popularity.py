"""The popularity of a segment's items, out of the counts of an adapter."""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
import numpy.typing as npt

from service.catalog.ids import Ids, hashes_of
from service.catalog.strings import Strings

Popularity = npt.NDArray[np.float32]

_CHUNK = 8192  # counts looked at in one go, for what holds Python's lock must be short
_FEW = 4096  # ids up to which a loop over them is as fast


def popularity_of(ids: Ids, counts: Mapping[str, int]) -> Popularity:
    """The count of each id, 0 where there is none: float32 [len(ids)]."""
    if len(ids) <= _FEW:
        return np.array([counts.get(item_id, 0) for item_id in ids.many(np.arange(len(ids)))], dtype=np.float32)
    popularity = np.zeros(len(ids), dtype=np.float32)
    for names, found in _chunks(counts):
        slots = ids.find_strings(Strings.of(names), hashes_of(names))
        popularity[slots[slots >= 0]] = found[slots >= 0]
    return popularity


def popular_order(popularity: Popularity, by_id: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The slots by popularity, most first, those of equal popularity in the order ``by_id``."""
    return by_id[np.argsort(-popularity[by_id], kind="stable")].astype(np.int32)


def _chunks(counts: Mapping[str, int]) -> Iterator[tuple[list[str], Popularity]]:
    entries = iter(counts.items())
    while chunk := list(islice(entries, _CHUNK)):
        yield [name for name, _ in chunk], np.array([count for _, count in chunk], dtype=np.float32)
