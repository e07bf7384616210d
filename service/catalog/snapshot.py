"""Everything that a request needs of its domain, in one immutable object. A change makes the next one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.attributes import Mask
from service.catalog.columns import Columns
from service.catalog.filters import Filter
from service.catalog.item import CatalogueItem
from service.catalog.segment import Segment, UserVectors
from service.inference.index.choice import IndexConfig

_FRESH_LIMIT = 1024
_FRESH_SHARE = 0.05
_FRESH_MOST = 8192  # every search looks at each fresh item
_HIDDEN_SHARE = 0.2
_MANY = 256  # ids that are looked up faster together than one by one, unless all of them were asked for lately


@dataclass(frozen=True, eq=False)
class DomainSnapshot:
    """A domain at one moment.

    Args:
        adapter: what its codes mean.
        large: most of the catalogue, made anew only by a compaction.
        fresh: what came since, made anew by every change; it wins over an item of the same id in ``large``.
        hidden: the items of ``large`` that are deleted or replaced, bool [n].
        config: of the index over ``large``.
        users: whom that index is tuned to, float32 [q, width]; None if to nobody.
    """

    adapter: DomainAdapter
    large: Segment
    fresh: Segment
    hidden: Mask
    config: IndexConfig
    users: UserVectors | None = None

    @classmethod
    def build(
        cls,
        adapter: DomainAdapter,
        items: Columns | Iterable[CatalogueItem],
        config: IndexConfig | None = None,
        users: UserVectors | None = None,
    ) -> "DomainSnapshot":
        """A snapshot of a whole catalogue; the last item of an id wins. Heavy: call it in a thread.

        Args: see the class.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        config = config or IndexConfig()
        columns = items if isinstance(items, Columns) else Columns.of(items, adapter.quantizer.layout)
        return cls._of_one(adapter, Segment.build(adapter, columns, config, users), config, users)

    @classmethod
    def _of_one(
        cls, adapter: DomainAdapter, large: Segment, config: IndexConfig, users: UserVectors | None
    ) -> "DomainSnapshot":
        fresh = Segment.small(adapter, Columns.of([], adapter.quantizer.layout))
        return cls(adapter, large, fresh, np.zeros(len(large), dtype=np.bool_), config, users)._warmed()

    def with_changes(self, upserts: Columns | Iterable[CatalogueItem], deleted: Iterable[str] = ()) -> "DomainSnapshot":
        """The snapshot after some deletions and then some upserts, of which the last of an id wins.

        The work grows with the fresh segment, not with the catalogue. Ids that are not there may be deleted.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        added = upserts if isinstance(upserts, Columns) else Columns.of(upserts, self.adapter.quantizer.layout)
        gone = [*added.ids.many(np.arange(len(added))), *deleted]
        hidden, keep = self.hidden.copy(), np.ones(len(self.fresh), dtype=np.bool_)
        for mask, segment, value in ((hidden, self.large, True), (keep, self.fresh, False)):
            slots = segment.ids.find(gone)
            mask[slots[slots >= 0]] = value
        new = Segment.small(self.adapter, added)
        fresh = Segment.small_of(self.adapter, [(self.fresh, np.flatnonzero(keep)), (new, np.arange(len(new)))])
        return replace(self, fresh=fresh, hidden=hidden)._warmed()

    def under(self, adapter: DomainAdapter) -> "DomainSnapshot":
        """The same items under another adapter of the same quantiser. Heavy: call it in a thread."""
        return replace(
            self, adapter=adapter, large=self.large.under(adapter), fresh=self.fresh.under(adapter), users=None
        )._warmed()

    def calibrated(self, users: UserVectors) -> "DomainSnapshot":
        """With an index that is tuned to such users, float32 [q, width]; they are kept for compactions.

        Heavy: call it in a thread.
        """
        return replace(self, large=self.large.tuned(users), users=users)._warmed()

    @property
    def needs_compaction(self) -> bool:
        """Whether the fresh segment or what is hidden has grown so large that it slows every search."""
        large = len(self.large)
        too_fresh = len(self.fresh) > min(max(_FRESH_LIMIT, _FRESH_SHARE * large), _FRESH_MOST)
        return too_fresh or self._num_hidden > _HIDDEN_SHARE * large

    def compacted(self) -> "DomainSnapshot":
        """The same catalogue in one large segment. Heavy: call it in a thread."""
        kept = np.flatnonzero(~self.hidden)
        large = self.large.joined_by(self.adapter, kept, self.fresh, self.config, self.users)
        return self._of_one(self.adapter, large, self.config, self.users)

    def rebuilt(self, columns: Columns) -> "DomainSnapshot":
        """Another catalogue under the same adapter. Heavy: call it in a thread."""
        return DomainSnapshot.build(self.adapter, columns, self.config, self.users)

    def __len__(self) -> int:
        return len(self.large) - self._num_hidden + len(self.fresh)

    def get(self, item_id: str) -> CatalogueItem | None:
        found = self._locate(item_id)
        return found[0].item(found[1]) if found else None

    def code(self, item_id: str) -> Codes | None:
        """The code of a live item: [D]."""
        found = self._locate(item_id)
        return found[0].codes[found[1]] if found else None

    def codes(self, item_ids: Sequence[str]) -> tuple[Codes, Mask]:
        """The codes of the live ones among some items, in the order asked: [known, D]; and which are: bool [m]."""
        if len(item_ids) >= _MANY:
            return self._codes_of_many(item_ids)
        places = [self._locate(item_id) for item_id in item_ids]
        codes = np.empty((len(item_ids), self.large.codes.shape[1]), dtype=self.large.codes.dtype)
        known = 0
        for place in places:
            if place is not None:
                codes[known] = place[0].codes[place[1]]
                known += 1
        return codes[:known], np.array([place is not None for place in places], dtype=np.bool_)

    def _codes_of_many(self, item_ids: Sequence[str]) -> tuple[Codes, Mask]:
        """See :meth:`codes`."""
        fresh, large = self.fresh.ids.find(item_ids), self.large.ids.find(item_ids)
        is_fresh = fresh >= 0
        is_large = (large >= 0) & ~is_fresh
        is_large[is_large] = ~self.hidden[large[is_large]]
        codes = np.empty((len(item_ids), self.large.codes.shape[1]), dtype=self.large.codes.dtype)
        codes[is_fresh], codes[is_large] = self.fresh.codes[fresh[is_fresh]], self.large.codes[large[is_large]]
        known = is_fresh | is_large
        return codes[known], known

    def _locate(self, item_id: str) -> tuple[Segment, int] | None:
        """The segment and the slot of a live item."""
        slot = self.fresh.ids.slot(item_id)
        if slot is not None:
            return self.fresh, slot
        slot = self.large.ids.slot(item_id)
        return None if slot is None or self.hidden[slot] else (self.large, slot)

    def items(self) -> Iterator[CatalogueItem]:
        """Every live item, in no promised order."""
        yield from (self.large.item(int(slot)) for slot in np.flatnonzero(~self.hidden))
        yield from (self.fresh.item(slot) for slot in range(len(self.fresh)))

    def recommendable(self, wanted: Filter | None = None) -> list[tuple[Segment, Mask]]:
        """Each segment with its live, available items that fulfil the filter, bool [n]."""
        parts = [(self.large, self._offered), (self.fresh, self.fresh.available)]
        if not wanted:
            return parts
        return [(segment, offered & segment.attributes.matches(wanted)) for segment, offered in parts]

    @property
    def index_kind(self) -> str:
        return self.large.index.kind

    def index_bytes(self) -> int:
        """How much memory the index takes, codes included."""
        return self.large.index.nbytes + self.fresh.index.nbytes

    def memory_bytes(self) -> int:
        """How much memory the catalogue takes, its index included, the adapter not."""
        return self.large.memory_bytes + self.fresh.memory_bytes + self.hidden.nbytes + self._offered.nbytes

    def _warmed(self) -> "DomainSnapshot":
        """With everything derived while a thread has time for it, and not by the first request."""
        _ = self._offered, self._num_hidden
        return self

    @cached_property
    def _offered(self) -> Mask:
        return self.large.available & ~self.hidden

    @cached_property
    def _num_hidden(self) -> int:
        return int(np.count_nonzero(self.hidden))
