"""Lists of items that lie side by side, and which of them are the most promising for a user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.items import Starts, evenly, norms_and_means
from service.inference.index.protocol import Scores
from service.inference.index.scoring import fill, padded

# A list is as promising as the mean score of its items, and more so the more widely they are spread: the best of many
# is above their mean. Measured on real users, where values from 0.1 to 0.3 need equally few items for a recall.
_PER_SPREAD = 0.2


@dataclass(frozen=True, eq=False)
class Lists:
    """A partition of a segment's items.

    Args:
        starts: int64 [lists + 1], the first slot of each list; the last entry is the number of items.
        centroids: float16 [lists, width + 1], the mean of each list's unit vectors and how far they spread around it.
            They only order lists, and half the memory is read in half the time.
    """

    starts: Starts
    centroids: npt.NDArray[np.float16]

    @classmethod
    def single(cls, count: int, width: int) -> "Lists":
        """All items in one list."""
        return cls(np.array([0, count], dtype=np.int64), np.zeros((1, width + 1), dtype=np.float16))

    def __len__(self) -> int:
        return len(self.centroids)

    @property
    def nbytes(self) -> int:
        return self.starts.nbytes + self.centroids.nbytes

    def promise(self, user_vectors: Scores) -> Scores:
        """How promising each list is for each user: float32 [q, lists]."""
        promise = np.empty((len(user_vectors), len(self)), dtype=np.float32)
        if len(self) == 1:
            promise[:] = 0
        else:
            lengths = np.linalg.norm(user_vectors, axis=1, keepdims=True)
            fill(self.centroids.view(np.uint16), padded(np.hstack([user_vectors, _PER_SPREAD * lengths])), promise)
        return promise


def describe(table: CodeTable, codes: Codes, starts: Starts, threads: int) -> tuple[Scores, Lists]:
    """The inverse norms of items, float32 [n], and their lists under a table."""
    if len(starts) == 2:
        inverse_norms, _ = norms_and_means(table.rows, codes, evenly(len(codes)), threads)
        return inverse_norms, Lists.single(len(codes), table.width)
    inverse_norms, means = norms_and_means(table.rows, codes, starts, threads)
    spread = np.sqrt(np.maximum(0, 1 - (means**2).sum(axis=1, keepdims=True)))
    return inverse_norms, Lists(starts, np.hstack([means, spread]).astype(np.float16))


def starts_of(lists: npt.NDArray[np.int32], num_lists: int) -> Starts:
    """Where each list starts among items whose list numbers do not descend."""
    return np.searchsorted(lists, np.arange(num_lists + 1)).astype(np.int64)
