"""What the catalogue should hold: the items that stay, and those that are written all the time."""

import threading
import time
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from training.dataset import Dataset, Items
from training.readers.source import AttributeValue

SHELVES = 7
"""Values of the attribute that filters look at, so that each keeps enough items."""

_SEED = 0
_ELSEWHERE_SECONDS = 5.0  # the service promises one; the machine may have other work


@dataclass(frozen=True, slots=True)
class Written:
    """An item as it was last written."""

    text: str
    attributes: dict[str, AttributeValue]
    available: bool = True


@dataclass(frozen=True, slots=True)
class _Gone:
    since: float
    port: int


@dataclass
class Ledger:
    """Every item that is written while others are asked for. Each has one writer, who alone changes its entry.

    Args:
        staying: items that are never written again.
    """

    staying: Items
    _written: dict[str, Written] = field(default_factory=dict)
    _gone: dict[str, _Gone] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def written(self) -> MappingProxyType[str, Written]:
        """The written items that are there."""
        return MappingProxyType(self._written)

    def get(self, item_id: str) -> Written | None:
        return self._written.get(item_id)

    def before_write(self, item_id: str) -> None:
        """From here on, until :meth:`wrote`, the item may be recommended or not."""
        with self._lock:
            self._gone.pop(item_id, None)

    def wrote(self, item_id: str, written: Written | None, port: int) -> None:
        """A write was acknowledged by the replica at ``port``."""
        with self._lock:
            if written is None:
                self._written.pop(item_id, None)
            else:
                self._written[item_id] = written
            if written is None or not written.available:
                self._gone[item_id] = _Gone(time.monotonic(), port)

    def may_come(self, item_id: str, port: int, asked: float) -> bool:
        """Whether the replica at ``port`` may recommend an item to a request that was sent at ``asked``."""
        with self._lock:
            gone = self._gone.get(item_id)
        if gone is None:
            return True
        return asked <= gone.since + (0.0 if gone.port == port else _ELSEWHERE_SECONDS)


def shelved(dataset: Dataset) -> Items:
    """The catalogue with attributes that filters can look at, drawn by seed."""
    rng = np.random.default_rng(_SEED)
    prices = rng.uniform(1, 100, len(dataset.items)).round(2).tolist()
    attributes: list[dict[str, AttributeValue]] = [
        {"shelf": f"shelf {place % SHELVES}", "price": price} for place, price in enumerate(prices)
    ]
    return Items(dataset.item_ids, dataset.texts, attributes)
