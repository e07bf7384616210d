"""What every index of a segment can do."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from models.table import CodeTable

Kind = Literal["flat", "ivf", "codes"]
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
Slots = npt.NDArray[np.int64]


class VectorIndex(Protocol):
    """Finds the items whose vectors have the largest inner product with a user vector.

    A score is a function of the user vector, the item's code and the table alone: it is the same bit by bit in every
    kind of index, in any batch and beside any other items, so that items with one code always tie. Items of one score
    are ordered by popularity, the more popular first, then by slot.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def nbytes(self) -> int:
        """What the index keeps in memory, the codes that it shares with the segment included, the table not."""
        ...

    @property
    def recall(self) -> float | None:
        """Measured share of the 50 best items that a search finds; None where it finds all or was not measured."""
        ...

    @property
    def inverse_norms(self) -> Scores:
        """One over the length of the sum of each item's table rows, float32 [n]."""
        ...

    def __len__(self) -> int: ...

    def search(
        self, user_vectors: Scores, k: int, allowed: Mask | None = None, excluded: Sequence[Slots] | None = None
    ) -> tuple[Scores, Slots]:
        """The best ``k`` items of each user, best first.

        Args:
            user_vectors: float32 [q, width].
            k: at least 1.
            allowed: the items that may be found, bool [n]; None for all.
            excluded: for each user, slots int64 that may not be found; None for none.

        Returns:
            scores float32 [q, k] and slots int64 [q, k]. Whenever k items match, k come; where there are fewer, the
            rest is -inf and -1.
        """
        ...

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """The scores of some items for one user, float32 [width] ─► float32 [len(slots)], as a search gives them."""
        ...

    def under(self, table: CodeTable, popularity: Scores) -> "VectorIndex":
        """The same items in the same slots under another table of the same layout."""
        ...

    def calibrated(self, user_vectors: Scores) -> "VectorIndex":
        """With the effort that a search takes chosen, and its recall measured, on float32 [q, width] of users.

        An exact index returns itself.
        """
        ...

    def finite(self) -> bool:
        """Whether every item has a finite vector."""
        ...
