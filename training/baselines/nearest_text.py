"""What text alone knows: items whose text is like that of the last one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.baselines.item_vectors import ItemVectors, of_length_one


@dataclass(frozen=True, eq=False)
class NearestTextScorer:
    """Scores an item by the cosine of its text vector with that of the history's last item, which itself scores one.

    Args:
        texts: text vectors of length one.
    """

    texts: ItemVectors

    def scores(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        """Cosines float32 [users, items] of histories that are not empty, oldest item first."""
        last = np.array([history[-1] for history in histories], dtype=np.int64)
        return self.texts.scores(self.texts[last])


def nearest_text_scorer(text_vectors: npt.NDArray[np.float16]) -> NearestTextScorer:
    """A scorer over the catalogue with these text vectors float16 [items, text_dim]; it learns from nobody."""
    return NearestTextScorer(ItemVectors.of(of_length_one(text_vectors.astype(np.float32))))
