"""The least that a recommender must beat: what sells best, the same for everyone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.histories import Split


@dataclass(frozen=True, eq=False)
class PopularityScorer:
    """Scores an item by its interactions in training, whoever asks.

    Args:
        counts: float32 [items].
    """

    counts: npt.NDArray[np.float32]

    def scores(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        """The same row for each history: float32 [users, items], a view that is not to be written to."""
        return np.broadcast_to(self.counts, (len(histories), len(self.counts)))


def popularity_scorer(split: Split, num_items: int) -> PopularityScorer:
    """A scorer by how often each of ``num_items`` items occurs in the training histories."""
    return PopularityScorer(split.train.item_counts(num_items).astype(np.float32))
