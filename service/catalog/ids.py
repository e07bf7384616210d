"""The item ids of a segment, and the way from an id to its slot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from service.catalog.strings import Numbers, Strings

Hashes = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]

_FEW = 64  # below it, looking ids up one by one is faster than together
_REMEMBERED = 10_000  # about 1 MB; histories are full of the same popular items


@dataclass(frozen=True, eq=False)
class Ids:
    """Distinct strings by slot, found by their hashes and then compared, so that hashes may clash.

    The hash is Python's own: keyed anew in each process, so that nobody can choose ids that clash.

    Args:
        strings: the ids by slot.
        hashes: int64 [n], ascending.
        slots: int32 [n], of each hash.
    """

    strings: Strings
    hashes: Hashes
    slots: Slots
    _found: dict[str, int] = field(default_factory=dict, init=False, repr=False)  # the last ones that were asked for

    @classmethod
    def build(cls, strings: Strings, hashes: Hashes) -> "Ids":
        """Ids by their hashes int64 [n], in the order of the strings."""
        order = np.argsort(hashes)
        return cls(strings, hashes[order], order.astype(np.int32))

    @classmethod
    def of(cls, ids: Sequence[str]) -> "Ids":
        """Distinct ids by their place in a sequence."""
        return cls.build(Strings.of(ids), hashes_of(ids))

    @classmethod
    def gather(cls, parts: Sequence[tuple["Ids", Numbers]]) -> "Ids":
        """These ids of each part, one part behind the other; none may be there twice."""
        strings = Strings.gather([(part.strings, slots) for part, slots in parts])
        hashes, new_slots = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
        start = 0
        for part, slots in parts:
            moved = _places(slots, len(part), start)[part.slots]
            hashes.append(part.hashes[moved >= 0])
            new_slots.append(moved[moved >= 0])
            start += len(slots)
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")  # which sees that each part is in order already
        return cls(strings, joined[order], np.concatenate(new_slots)[order])

    def ordered(self, order: Numbers) -> "Ids":
        """The same ids in another order."""
        slots = _places(order, len(self), 0)[self.slots]
        return Ids(Strings.gather([(self.strings, order)]), self.hashes, slots)

    def __len__(self) -> int:
        return len(self.strings)

    def __getitem__(self, slot: int) -> str:
        return self.strings[slot]

    def many(self, slots: Numbers) -> list[str]:
        """The ids in these slots."""
        return self.strings.many(slots)

    @property
    def nbytes(self) -> int:
        return self.strings.nbytes + self.hashes.nbytes + self.slots.nbytes

    def by_slot(self) -> Hashes:
        """The hashes in the order of slots: int64 [n]."""
        hashes = np.empty_like(self.hashes)
        hashes[self.slots] = self.hashes
        return hashes

    def slot(self, item_id: str) -> int | None:
        """Where an id is, None if it is not there."""
        slot = self._found.get(item_id)
        if slot is None and len(self.hashes):
            slot = self._look_up(item_id)
            if slot is not None:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[item_id] = slot
        return slot

    def _look_up(self, item_id: str) -> int | None:
        wanted = hash(item_id)
        place = int(self.hashes.searchsorted(wanted))
        while place < len(self.hashes) and self.hashes[place] == wanted:
            slot = int(self.slots[place])
            if self.strings[slot] == item_id:
                return slot
            place += 1
        return None

    def find(self, item_ids: Sequence[str]) -> Slots:
        """Where each of some ids is: int32 [len(item_ids)], -1 for those that are not there."""
        if len(item_ids) < _FEW:
            found = [self.slot(item_id) for item_id in item_ids]
            return np.array([-1 if slot is None else slot for slot in found], dtype=np.int32)
        return self.find_strings(Strings.of(item_ids), hashes_of(item_ids))

    def find_strings(self, wanted: Strings, hashes: Hashes) -> Slots:
        """As :meth:`find`, for strings and their hashes int64 [len(wanted)]."""
        found = np.full(len(wanted), -1, dtype=np.int32)
        pending = np.arange(len(wanted))
        places = self.hashes.searchsorted(hashes)
        while len(pending):
            inside = places < len(self)
            pending, places = pending[inside], places[inside]
            alike = self.hashes[places] == hashes[pending]
            pending, places = pending[alike], places[alike]
            same = self.strings.equal(self.slots[places], wanted, pending)
            found[pending[same]] = self.slots[places[same]]
            pending, places = pending[~same], places[~same] + 1
        return found


def hashes_of(ids: Sequence[str]) -> Hashes:
    """The hash of each string: int64 [len(ids)]."""
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def distinct(strings: Strings, hashes: Hashes) -> tuple[npt.NDArray[np.int64], Slots]:
    """Which strings are the same.

    Args:
        strings: some of which may be equal.
        hashes: int64 [n], of each.

    Returns:
        int64 [u], the number of the first of each distinct string, ascending, and int32 [n], which of those each is.
    """
    order = np.argsort(hashes, kind="stable")
    alike = hashes[order[1:]] == hashes[order[:-1]]
    same = _equal_neighbours(strings, order, alike)
    if not np.array_equal(same, alike):  # two hashes clash, and equal strings need not be side by side
        order = strings.order()
        same = _equal_neighbours(strings, order, np.ones(max(0, len(order) - 1), dtype=np.bool_))
    groups = np.cumsum(np.concatenate([np.zeros(min(1, len(order)), np.int64), ~same]))  # of each place in the order
    first = order[np.concatenate([np.ones(min(1, len(order)), np.bool_), ~same])]  # both orders are stable
    ascending = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int32)
    rank[ascending] = np.arange(len(first), dtype=np.int32)
    which = np.empty(len(order), dtype=np.int32)
    which[order] = rank[groups]
    return first[ascending], which


def _places(chosen: Numbers, size: int, start: int) -> Slots:
    """Where each of ``size`` things comes if the chosen ones come from ``start`` on: int32 [size], -1 for others."""
    places = np.full(size, -1, dtype=np.int32)
    places[chosen] = np.arange(start, start + len(chosen), dtype=np.int32)
    return places


def _equal_neighbours(
    strings: Strings, order: npt.NDArray[np.int64], candidates: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    same = candidates.copy()
    places = np.flatnonzero(candidates)
    same[places] = strings.equal(order[places], strings, order[places + 1])
    return same
