"""An immutable part of a catalogue: items by popularity, in columns, with an index over their vectors."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.attributes import Attributes, Mask
from service.catalog.item import CatalogueItem
from service.inference.index import FlatIndex

_BYTES_PER_OBJECT = 50  # what CPython adds to the content of a str or bytes object, roughly
_BYTES_PER_ENTRY = 100  # what a dict takes for an entry and its int, roughly
_POPULAR_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Segment:
    """Items by slot: the most popular first, those of equal popularity by id.

    An index breaks ties by slot, so that among items of one score, which share a code, the more popular comes first.

    Args:
        ids: in the order of slots, each once.
        codes: [n, D].
        documents: the attributes of each item as JSON, to give back.
        attributes: the same in columns, to filter by.
        available: bool [n].
        popularity: float32 [n], 0 for an item the adapter does not know.
        index: over the normalised item vectors.
    """

    ids: tuple[str, ...]
    codes: Codes
    documents: tuple[bytes, ...]
    attributes: Attributes
    available: Mask
    popularity: npt.NDArray[np.float32]
    index: FlatIndex

    @classmethod
    def build(cls, adapter: DomainAdapter, items: Sequence[CatalogueItem]) -> "Segment":
        """A segment of items with distinct ids, in any order.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        popularity = adapter.popularity
        items = sorted(items, key=lambda item: (-popularity.get(item.item_id, 0), item.item_id))
        layout = adapter.quantizer.layout
        codes = layout.from_bytes([item.code.tobytes() for item in items])
        return cls(
            ids=tuple(item.item_id for item in items),
            codes=codes,
            documents=tuple(_to_json(item) for item in items),
            attributes=Attributes.build([item.attributes for item in items]),
            available=np.array([item.available for item in items], dtype=np.bool_),
            popularity=np.array([popularity.get(item.item_id, 0) for item in items], dtype=np.float32),
            index=FlatIndex(adapter.table.normalized(codes)),
        )._warmed()

    @classmethod
    def merge(cls, parts: Sequence[tuple["Segment", Mask]]) -> "Segment":
        """One segment of the items that each part keeps, bool [part's size]; no id may be kept twice.

        Everything is gathered from the parts, nothing is computed again.
        """
        kept = [np.flatnonzero(keep) for _, keep in parts]
        ids = [segment.ids[slot] for (segment, _), slots in zip(parts, kept, strict=True) for slot in slots]
        counts = np.concatenate([segment.popularity[slots] for (segment, _), slots in zip(parts, kept, strict=True)])
        order = np.array(sorted(range(len(ids)), key=lambda place: (-counts[place], ids[place])), dtype=np.int64)
        documents = [segment.documents[slot] for (segment, _), slots in zip(parts, kept, strict=True) for slot in slots]

        def gather(columns: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[Any]:
            return np.concatenate([column[slots] for column, slots in zip(columns, kept, strict=True)])[order]

        segments = [segment for segment, _ in parts]
        return cls(
            ids=tuple(ids[position] for position in order),
            codes=gather([segment.codes for segment in segments]),
            documents=tuple(documents[position] for position in order),
            attributes=Attributes.merge(_new_slots(segments, kept, order), len(ids)),
            available=gather([segment.available for segment in segments]),
            popularity=gather([segment.popularity for segment in segments]),
            index=FlatIndex(gather([segment.index.vectors for segment in segments])),
        )._warmed()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def slots(self) -> dict[str, int]:
        """Item id ─► slot."""
        return {item_id: slot for slot, item_id in enumerate(self.ids)}

    def item(self, slot: int) -> CatalogueItem:
        attributes = json.loads(self.documents[slot])
        return CatalogueItem(self.ids[slot], self.codes[slot], attributes, bool(self.available[slot]))

    def most_popular(self, k: int, allowed: Mask) -> list[int]:
        """The slots of the ``k`` most popular of the allowed items, those of equal popularity by id."""
        found: list[int] = []
        for start in range(0, len(self), _POPULAR_BLOCK):
            found += (np.flatnonzero(allowed[start : start + _POPULAR_BLOCK]) + start).tolist()
            if len(found) >= k:
                break
        return found[:k]

    def _warmed(self) -> "Segment":
        """With everything derived while a thread has time for it, and not by the first request on the event loop."""
        _ = self.slots, self.memory_bytes
        return self

    @cached_property
    def memory_bytes(self) -> int:
        """About how much memory the segment takes."""
        strings = sum(map(len, self.ids)) + sum(map(len, self.documents)) + 2 * _BYTES_PER_OBJECT * len(self)
        entries = _BYTES_PER_ENTRY * len(self)
        arrays = (self.codes, self.available, self.popularity, self.index.vectors)
        return strings + entries + self.attributes.nbytes + sum(array.nbytes for array in arrays)


def _to_json(item: CatalogueItem) -> bytes:
    return json.dumps(dict(item.attributes), ensure_ascii=False, separators=(",", ":")).encode()


def _new_slots(
    segments: Sequence[Segment], kept: Sequence[npt.NDArray[np.int64]], order: npt.NDArray[np.int64]
) -> list[tuple[Attributes, npt.NDArray[np.int32]]]:
    """The attributes of each segment with where its items go, -1 for those that are not kept."""
    slot_of = np.empty(len(order), dtype=np.int32)
    slot_of[order] = np.arange(len(order), dtype=np.int32)
    starts = np.cumsum([0, *map(len, kept)])
    moves = []
    for segment, slots, start in zip(segments, kept, starts, strict=False):
        new_slots = np.full(len(segment), -1, dtype=np.int32)
        new_slots[slots] = slot_of[start : start + len(slots)]
        moves.append((segment.attributes, new_slots))
    return moves
