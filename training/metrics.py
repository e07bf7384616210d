"""Ranking metrics over a whole catalogue: Recall@k, NDCG@k and MRR with one target a user."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import ItemVectors
from training.histories import Targets
from training.ranking import TieOrder, histories_of, user_blocks


@dataclass(frozen=True, eq=False)
class Ranker:
    """Ranks every item for a user as the service does: by cosine, and within one score by what is left to tell.

    Items with the same code have the same score to the last bit, since each distinct code is scored once.

    Args:
        distinct: vectors of length one, float32 [distinct codes, width].
        code_of_item: int64 [items], indices into ``distinct``; items are ordered by item id.
        ties: what decides within one score.
    """

    distinct: npt.NDArray[np.float32]
    code_of_item: npt.NDArray[np.int64]
    ties: TieOrder

    @classmethod
    def over(cls, codes: Codes, item_vectors: ItemVectors, popularity: npt.NDArray[np.int64]) -> "Ranker":
        """A ranker over the catalogue with these codes [items, D] and interactions in training [items]."""
        distinct, code_of_item = np.unique(codes, axis=0, return_inverse=True)
        vectors = item_vectors.normalized(cast(Codes, distinct))
        return cls(vectors, code_of_item.reshape(-1).astype(np.int64), TieOrder.by_popularity(popularity))

    def scores(self, users: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 [n, items] of user vectors float32 [n, width]."""
        return np.take(users @ self.distinct.T, self.code_of_item, axis=1)

    def ranks(
        self, users: npt.NDArray[np.float32], targets: Targets, exclude_history: bool = False
    ) -> npt.NDArray[np.int64]:
        """The rank, from 0, of each user's target among all items: int64 [n].

        Args:
            users: user vectors float32 [n, width], in the order of ``targets``.
            targets: what each user had, and the item to find.
            exclude_history: among the items that the user has not had; a target that they had is never found.

        Raises:
            DataError: if a score is not a number.
        """
        ranks = np.empty(len(users), dtype=np.int64)
        ranks_of = self.ties.ranks_of_new if exclude_history else self.ties.ranks
        for block in user_blocks(len(users)):
            histories = histories_of(targets, block)
            ranks[block] = ranks_of(self.scores(users[block]), histories, targets.items[block])
        return ranks


def ranking_metrics(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    """Recall@10, NDCG@10, Recall@50, NDCG@50 and MRR, averaged over ranks from 0, int64 [n], n at least 1."""
    gains = 1 / np.log2(ranks + 2.0)
    metrics = {}
    for k in (10, 50):
        metrics[f"recall@{k}"] = float(np.mean(ranks < k))
        metrics[f"ndcg@{k}"] = float(np.mean(np.where(ranks < k, gains, 0.0)))
    metrics["mrr"] = float(np.mean(1 / (ranks + 1.0)))
    return metrics
