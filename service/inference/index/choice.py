"""Which kind of index a segment gets, by the size of its catalogue and the memory it may take."""

from dataclasses import dataclass
from math import log2
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.codes import CodeIndex
from service.inference.index.flat import FlatIndex
from service.inference.index.ivf import IvfIndex
from service.inference.index.lists import starts_of
from service.inference.index.partition import PartitionConfig, partition
from service.inference.index.protocol import Kind, Scores, VectorIndex

_MOST_FLAT = 4_000  # measured, as the next: from here on a batch of 8 is faster on codes
_FEWEST_PARTED = 50_000
_MOST_LISTS = 1 << 14  # beyond, comparing a user with all lists takes as long as what is spared


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What is asked of an index.

    Args:
        kind: ``auto`` chooses by size and memory.
        memory_bytes: what one domain's index may take.
        threads: of a build, and of a search over a large batch.
        seed: of the partition.
    """

    kind: Literal["auto", "flat", "ivf", "codes"] = "auto"
    memory_bytes: int = 1 << 30
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A kind, why it was chosen, and the list that each item belongs to.

    The items of a segment are ordered by list: a list is a slice of slots.

    Args:
        kind: of the index.
        reason: of the choice, in words for an operator.
        lists: int32 [n], from 0; all 0 where there is no partition.
        num_lists: 1 where there is no partition.
    """

    kind: Kind
    reason: str
    lists: npt.NDArray[np.int32]
    num_lists: int

    def take(self, order: npt.NDArray[np.int64]) -> "Arrangement":
        """The arrangement of the items in another order."""
        return Arrangement(self.kind, self.reason, self.lists[order], self.num_lists)


def arrange(table: CodeTable, codes: Codes, config: IndexConfig, users: Scores | None = None) -> Arrangement:
    """Choose a kind for items [n, D] in any order, and part them into lists. Heavy: call it in a thread.

    Args:
        table: what codes mean.
        codes: [n, D].
        config: what is asked for.
        users: user vectors float32 [m, width], some hundred, as they will be searched with. A partition made for them
            needs about half the scan of one made without.

    Raises:
        InvalidCodesError: if a code does not fit the table's layout.
    """
    table.layout.check(codes)
    kind, reason = _choose(table, len(codes), config)
    num_lists = _num_lists(len(codes)) if kind != "flat" else 1
    if num_lists == 1:
        return Arrangement(kind, reason, np.zeros(len(codes), dtype=np.int32), 1)
    lists, num_lists = partition(table, codes, users, PartitionConfig(num_lists, config.threads, config.seed))
    return Arrangement(kind, f"{reason}; {num_lists} lists", lists, num_lists)


def build_index(  # noqa: PLR0913, PLR0917 -- the columns of one segment
    arrangement: Arrangement,
    table: CodeTable,
    codes: Codes,
    popularity: Scores,
    config: IndexConfig,
    inverse_norms: Scores | None = None,
) -> VectorIndex:
    """The index of items whose order is that of the arrangement, whose lists do not descend.

    Args:
        arrangement: of these items, in this order.
        table: what codes mean.
        codes: [n, D], C-contiguous; kept, not copied.
        popularity: float32 [n]; kept, not copied.
        config: as it was given to :func:`arrange`.
        inverse_norms: float32 [n] of these items where another index of the same table knows them.

    Raises:
        InvalidCodesError: if a code does not fit the table's layout.
    """
    if arrangement.kind == "flat":
        return FlatIndex(table, codes, popularity, inverse_norms, config.threads)
    starts = starts_of(arrangement.lists, arrangement.num_lists)
    if arrangement.kind == "ivf":
        return IvfIndex.build(table, codes, popularity, starts, config.threads)
    return CodeIndex.build(table, codes, popularity, starts, inverse_norms, config.threads)


def _choose(table: CodeTable, count: int, config: IndexConfig) -> tuple[Kind, str]:
    if config.kind != "auto":
        return config.kind, "the configuration asks for it"
    flat_bytes = count * (4 * table.width + table.layout.bytes_per_code + 4)
    if flat_bytes > config.memory_bytes:
        return "codes", f"vectors would take {flat_bytes >> 20} MiB of the {config.memory_bytes >> 20} MiB allowed"
    if count <= _MOST_FLAT:
        return "flat", f"up to {_MOST_FLAT} items comparing every vector is fastest"
    return "codes", f"above {_MOST_FLAT} items codes are scanned faster than vectors"


def _num_lists(count: int) -> int:
    """A power of two near eight times the square root, or one list where a full scan is as fast."""
    return 1 if count < _FEWEST_PARTED else min(2 ** round(log2(8 * count**0.5)), _MOST_LISTS)
