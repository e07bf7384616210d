"""Everything that a request needs of its domain, in one immutable object. A change makes the next one."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.attributes import Mask
from service.catalog.filters import Filter
from service.catalog.item import CatalogueItem
from service.catalog.segment import Segment

_FRESH_LIMIT = 1024
_FRESH_SHARE = 0.05
_HIDDEN_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class DomainSnapshot:
    """A domain at one moment.

    Args:
        adapter: what its codes mean.
        large: most of the catalogue, made anew only by a compaction.
        fresh: what came since, made anew by every change; it wins over an item of the same id in ``large``.
        hidden: the items of ``large`` that are deleted or replaced, bool [n].
    """

    adapter: DomainAdapter
    large: Segment
    fresh: Segment
    hidden: Mask

    @classmethod
    def build(cls, adapter: DomainAdapter, items: Iterable[CatalogueItem]) -> "DomainSnapshot":
        """A snapshot of a whole catalogue; the last item of an id wins. Heavy: call it in a thread.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        large = Segment.build(adapter, list({item.item_id: item for item in items}.values()))
        return cls(adapter, large, Segment.build(adapter, []), np.zeros(len(large), dtype=np.bool_))

    def with_changes(self, upserts: Sequence[CatalogueItem], deleted: Collection[str] = ()) -> "DomainSnapshot":
        """The snapshot after some deletions and then some upserts, of which the last of an id wins.

        The work grows with the fresh segment, not with the catalogue. Ids that are not there may be deleted.

        Raises:
            InvalidCodesError: if a code does not fit the adapter's layout.
        """
        new_items = {item.item_id: item for item in upserts}
        gone = [*new_items, *deleted]
        hidden, keep = self.hidden.copy(), np.ones(len(self.fresh), dtype=np.bool_)
        hidden[[self.large.slots[item_id] for item_id in gone if item_id in self.large.slots]] = True
        keep[[self.fresh.slots[item_id] for item_id in gone if item_id in self.fresh.slots]] = False
        added = Segment.build(self.adapter, list(new_items.values()))
        fresh = Segment.merge([(self.fresh, keep), (added, np.ones(len(added), dtype=np.bool_))])
        return DomainSnapshot(self.adapter, self.large, fresh, hidden)

    @property
    def needs_compaction(self) -> bool:
        """Whether the fresh segment or what is hidden has grown so large that it slows every search."""
        large = len(self.large)
        too_fresh = len(self.fresh) > max(_FRESH_LIMIT, _FRESH_SHARE * large)
        return too_fresh or self._num_hidden > _HIDDEN_SHARE * large

    def compacted(self) -> "DomainSnapshot":
        """The same catalogue in one large segment. Heavy: call it in a thread."""
        large = Segment.merge([(self.large, ~self.hidden), (self.fresh, np.ones(len(self.fresh), dtype=np.bool_))])
        return DomainSnapshot(
            self.adapter, large, Segment.build(self.adapter, []), np.zeros(len(large), dtype=np.bool_)
        )

    def __len__(self) -> int:
        return len(self.large) - self._num_hidden + len(self.fresh)

    def get(self, item_id: str) -> CatalogueItem | None:
        found = self._locate(item_id)
        return found[0].item(found[1]) if found else None

    def code(self, item_id: str) -> Codes | None:
        """The code of a live item: [D]."""
        found = self._locate(item_id)
        return found[0].codes[found[1]] if found else None

    def _locate(self, item_id: str) -> tuple[Segment, int] | None:
        """The segment and the slot of a live item."""
        slot = self.fresh.slots.get(item_id)
        if slot is not None:
            return self.fresh, slot
        slot = self.large.slots.get(item_id)
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
        return "flat"

    def memory_bytes(self) -> int:
        """About how much memory the catalogue takes, the adapter's table not counted."""
        return self.large.memory_bytes + self.fresh.memory_bytes + self.hidden.nbytes

    @cached_property
    def _offered(self) -> Mask:
        return self.large.available & ~self.hidden

    @cached_property
    def _num_hidden(self) -> int:
        return int(np.count_nonzero(self.hidden))
