"""A catalogue in flat arrays: what is known of each item, in the order of slots."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.codes import CodeLayout, Codes
from service.catalog.attributes import Attributes, AttributesBuilder, Mask
from service.catalog.ids import Ids, distinct
from service.catalog.item import AttributeValue, CatalogueItem
from service.catalog.strings import Numbers


@dataclass(frozen=True, eq=False)
class Columns:
    """Items by slot.

    Args:
        ids: each once.
        codes: [n, D].
        attributes: to filter by and to give back.
        available: bool [n].
    """

    ids: Ids
    codes: Codes
    attributes: Attributes
    available: Mask

    @classmethod
    def of(cls, items: Iterable[CatalogueItem], layout: CodeLayout) -> "Columns":
        """The columns of items; the last of an id wins.

        Raises:
            InvalidCodesError: if a code does not fit the layout.
        """
        builder = ColumnsBuilder(layout)
        for item in {item.item_id: item for item in items}.values():
            builder.add(item.item_id, item.code.tobytes(), item.attributes, item.available)
        return builder.columns()

    @classmethod
    def gather(cls, parts: Sequence[tuple["Columns", Numbers]]) -> "Columns":
        """These items of each of some parts, at least one, one part behind the other; no id may be there twice."""
        return cls(
            Ids.gather([(part.ids, slots) for part, slots in parts]),
            np.concatenate([part.codes[slots] for part, slots in parts]),
            Attributes.gather([(part.attributes, slots) for part, slots in parts]),
            np.concatenate([part.available[slots] for part, slots in parts]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes of all but the codes, which the index counts."""
        return self.ids.nbytes + self.attributes.nbytes + self.available.nbytes

    def ordered(self, order: Numbers) -> "Columns":
        """The same items in another order."""
        return Columns(
            self.ids.ordered(order), self.codes[order], self.attributes.ordered(order), self.available[order]
        )

    def item(self, slot: int) -> CatalogueItem:
        return CatalogueItem(self.ids[slot], self.codes[slot], self.attributes.of(slot), bool(self.available[slot]))


class ColumnsBuilder:
    """Columns of items that come one after the other, as Python objects: build in parts, then join."""

    def __init__(self, layout: CodeLayout) -> None:
        self._layout = layout
        self._ids: list[str] = []
        self._codes: list[bytes] = []
        self._available: list[bool] = []
        self._attributes = AttributesBuilder()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, item_id: str, code: bytes, attributes: Mapping[str, AttributeValue], available: bool) -> None:
        """Add an item; of an id that comes twice only :func:`joined` gets rid."""
        self._ids.append(item_id)
        self._codes.append(code)
        self._available.append(available)
        self._attributes.add(attributes)

    def columns(self) -> Columns:
        """What was added.

        Raises:
            InvalidCodesError: if a code does not fit the layout.
        """
        return Columns(
            Ids.of(self._ids),
            self._layout.from_bytes(self._codes),
            self._attributes.attributes(),
            np.array(self._available, dtype=np.bool_),
        )


def joined(parts: Sequence[Columns]) -> Columns:
    """All items of some parts, at least one; of an id that comes twice the first one."""
    ids = Ids.gather([(part.ids, np.arange(len(part))) for part in parts])
    first, _ = distinct(ids.strings, ids.by_slot())
    ends = np.cumsum([len(part) for part in parts])
    of_parts = np.split(first, np.searchsorted(first, ends[:-1]))
    return Columns.gather(
        [(part, slots - end + len(part)) for part, slots, end in zip(parts, of_parts, ends, strict=True)]
    )
