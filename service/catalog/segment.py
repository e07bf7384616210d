"""An immutable part of a catalogue: items in columns, with an index over their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.attributes import Attributes, Mask
from service.catalog.columns import Columns
from service.catalog.ids import Ids
from service.catalog.item import CatalogueItem
from service.catalog.popularity import Popularity, popular_order, popularity_of
from service.catalog.strings import Numbers
from service.inference.index.choice import Arrangement, IndexConfig, arrange, build_index
from service.inference.index.growth import grown
from service.inference.index.protocol import VectorIndex

_POPULAR_BLOCK = 4096
_SMALL = IndexConfig("codes")
_JOINED_SHARE = 0.2

UserVectors = npt.NDArray[np.float32]
Part = tuple["Segment", Numbers]


@dataclass(frozen=True, eq=False)
class Segment:
    """Items by slot: those of one list of the index side by side, in the order of their ids.

    An index orders items of one score by popularity and then by slot. They share a code, and so a list: by id, then.

    Args:
        columns: what is known of each item.
        popularity: float32 [n], 0 for an item the adapter does not know.
        popular: int32 [n], the slots of the most popular first, those of equal popularity by id.
        index: over the item vectors.
        index_reason: why it is of its kind.
        joined: how many items have joined the index's partition since it was made.
    """

    columns: Columns
    popularity: Popularity
    popular: npt.NDArray[np.int32]
    index: VectorIndex
    index_reason: str
    joined: int = 0

    @classmethod
    def build(
        cls, adapter: DomainAdapter, columns: Columns, config: IndexConfig, users: UserVectors | None = None
    ) -> "Segment":
        """A segment of items in any order.

        Args:
            adapter: what codes mean.
            columns: the items.
            config: of the index.
            users: float32 [q, width]; its partition, if it has one, is made for half of them and tuned to the others:
                tuned to the same it would find fewer items than it seems to.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        arrangement = _arrangement(adapter, columns.codes, config, users)
        popularity = popularity_of(columns.ids, adapter.popularity)
        return cls._arranged(adapter, _Items(columns, popularity, None), arrangement, config).tuned(users)

    @classmethod
    def small(cls, adapter: DomainAdapter, columns: Columns) -> "Segment":
        """As :meth:`build`, with an index that is quick to make and searched exhaustively.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        popularity = popularity_of(columns.ids, adapter.popularity)
        return cls._arranged(adapter, _Items(columns, popularity, None), _unparted(len(columns)), _SMALL)

    @classmethod
    def small_of(cls, adapter: DomainAdapter, parts: Sequence[Part]) -> "Segment":
        """A small segment of these items of each of some parts; no id may be there twice."""
        items = _Items.gather(parts)
        return cls._arranged(adapter, items, _unparted(len(items.columns)), _SMALL)

    def joined_by(
        self,
        adapter: DomainAdapter,
        kept: npt.NDArray[np.int64],
        other: "Segment",
        config: IndexConfig,
        users: UserVectors | None,
    ) -> "Segment":
        """These items and all of another segment, none of which is kept here.

        While few have joined since it was made, the partition stays and they are assigned to its lists.

        Args: see :meth:`build`.
        """
        items = _Items.gather([(self, kept), (other, np.arange(len(other)))])
        joined = self.joined + len(other)
        added = (other.codes, other.index.inverse_norms)
        arrangement = grown(self.index, kept, adapter.table, added, self.index_reason)
        if arrangement is None or joined > _JOINED_SHARE * len(items.columns):
            arrangement, joined = _arrangement(adapter, items.columns.codes, config, users), 0
        return replace(self._arranged(adapter, items, arrangement, config), joined=joined).tuned(users)

    @classmethod
    def _arranged(
        cls, adapter: DomainAdapter, items: "_Items", arrangement: Arrangement, config: IndexConfig
    ) -> "Segment":
        by_id = items.columns.ids.strings.order()
        order = by_id[np.argsort(arrangement.lists[by_id], kind="stable")]
        slots = np.empty_like(order)
        slots[order] = np.arange(len(order))
        columns, popularity = items.columns.ordered(order), items.popularity[order]
        norms = None if items.inverse_norms is None else items.inverse_norms[order]
        index = build_index(arrangement.take(order), adapter.table, columns.codes, popularity, config, norms)
        return cls(columns, popularity, popular_order(popularity, slots[by_id]), index, arrangement.reason)

    def under(self, adapter: DomainAdapter) -> "Segment":
        """The same items in the same slots under an adapter of the same quantiser."""
        popularity = popularity_of(self.ids, adapter.popularity)
        popular = popular_order(popularity, self.ids.strings.order())
        index = self.index.under(adapter.table, popularity)
        return replace(self, popularity=popularity, popular=popular, index=index)

    def tuned(self, users: UserVectors | None) -> "Segment":
        """With an index that is tuned to those users, float32 [q, width], that no partition is made for."""
        return self if users is None else replace(self, index=self.index.calibrated(users[1::2]))

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def ids(self) -> Ids:
        return self.columns.ids

    @property
    def codes(self) -> Codes:
        return self.columns.codes

    @property
    def attributes(self) -> Attributes:
        return self.columns.attributes

    @property
    def available(self) -> Mask:
        return self.columns.available

    def item(self, slot: int) -> CatalogueItem:
        return self.columns.item(slot)

    def most_popular(self, k: int, allowed: Mask) -> list[int]:
        """The slots of the ``k`` most popular of the allowed items, those of equal popularity by id."""
        found: list[int] = []
        for start in range(0, len(self), _POPULAR_BLOCK):
            block = self.popular[start : start + _POPULAR_BLOCK]
            found += block[allowed[block]].tolist()
            if len(found) >= k:
                break
        return found[:k]

    @property
    def memory_bytes(self) -> int:
        """How much memory the segment takes."""
        return self.columns.nbytes + self.popularity.nbytes + self.popular.nbytes + self.index.nbytes


@dataclass(frozen=True, eq=False)
class _Items:
    """Items that have no slots yet; their inverse norms, float32 [n], where they are known."""

    columns: Columns
    popularity: Popularity
    inverse_norms: npt.NDArray[np.float32] | None

    @classmethod
    def gather(cls, parts: Sequence[Part]) -> "_Items":
        return cls(
            Columns.gather([(part.columns, slots) for part, slots in parts]),
            np.concatenate([part.popularity[slots] for part, slots in parts]),
            np.concatenate([part.index.inverse_norms[slots] for part, slots in parts]),
        )


def _arrangement(adapter: DomainAdapter, codes: Codes, config: IndexConfig, users: UserVectors | None) -> Arrangement:
    return arrange(adapter.table, codes, config, None if users is None else users[::2])


def _unparted(count: int) -> Arrangement:
    return Arrangement("codes", "it is small", np.zeros(count, dtype=np.int32), 1)
