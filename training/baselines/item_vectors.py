"""The vectors of a whole catalogue, compared with user vectors by inner product."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ItemVectors:
    """Every item's vector, equal ones kept once.

    Items with equal vectors get scores that are equal to the last bit, whatever block of a matrix product they would
    have fallen into; so a tie is a tie, and is ordered by the rule for ties.

    Args:
        distinct: float32 [distinct, width].
        place: int64 [items], each item's row of ``distinct``.
    """

    distinct: npt.NDArray[np.float32]
    place: npt.NDArray[np.int64]

    @classmethod
    def of(cls, vectors: npt.NDArray[np.float32]) -> "ItemVectors":
        """Vectors [items, width], of which some may be equal."""
        distinct, place = np.unique(vectors, axis=0, return_inverse=True)
        return cls(distinct, place.reshape(-1).astype(np.int64))

    def __getitem__(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors [n, width] of these items [n]."""
        return self.distinct[self.place[items]]

    def scores(self, users: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Inner products of user vectors [users, width] with every item: float32 [users, items]."""
        return np.take(users @ self.distinct.T, self.place, axis=1)


def of_length_one(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors [n, width] scaled to length one; a vector of zeros stays one."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
