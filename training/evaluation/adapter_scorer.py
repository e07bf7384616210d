"""The exported artifact as a scorer: what the service computes, for a whole catalogue at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluate import ServedModel
from training.metrics import Ranker
from training.ranking import HistoryBlock, Scores, TieOrder


@dataclass(frozen=True, eq=False)
class AdapterScorer:
    """Scores by codes, table and network.

    Args:
        model: the adapter, its backbone and its text encoder.
        ranker: over the catalogue's codes.
        item_vectors: as the network reads them, float32 [items, width].
    """

    model: ServedModel
    ranker: Ranker
    item_vectors: npt.NDArray[np.float32]

    @classmethod
    def over(
        cls, model: ServedModel, item_ids: Sequence[str], text_vectors: npt.NDArray[np.float16]
    ) -> "AdapterScorer":
        """A scorer over the catalogue with these ids and text vectors float16 [items, text_dim] of the model's encoder.

        Raises:
            InvalidCodesError: if the vectors do not fit the adapter's quantiser.
        """
        adapter = model.adapter
        codes = adapter.quantizer.encode(text_vectors)
        popularity = np.array([adapter.popularity.get(item_id, 0) for item_id in item_ids], dtype=np.int64)
        return cls(model, Ranker.over(codes, adapter.table, popularity), adapter.table.raw(codes))

    @property
    def ties(self) -> TieOrder:
        """By the popularity that the adapter holds."""
        return self.ranker.ties

    def scores(self, histories: HistoryBlock) -> Scores:
        """Cosines float32 [users, items]; of a history longer than the network sees, the most recent part counts."""
        longest = self.model.backbone.bundle.manifest.max_history
        network = self.model.backbone.network
        return self.ranker.scores(
            network.user_vectors([self.item_vectors[history[-longest:]] for history in histories])
        )
