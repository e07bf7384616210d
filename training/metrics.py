"""Ranking metrics over a whole catalogue: Recall@k, NDCG@k and MRR with one target a user."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import ItemVectors
from training.histories import Targets

_USERS_PER_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Ranker:
    """Ranks every item for a user as the service does: by cosine, and within one score by what is left to tell.

    Items with the same code have the same score to the last bit, since each distinct code is scored once. Among them
    those the user has not had come first, then the more popular, then the smaller item id.

    Args:
        distinct: vectors of length one, float32 [distinct codes, width].
        code_of_item: int64 [items], indices into ``distinct``; items are ordered by item id.
        order: int64 [items], an item's place by popularity, then item id.
    """

    distinct: npt.NDArray[np.float32]
    code_of_item: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @classmethod
    def over(cls, codes: Codes, item_vectors: ItemVectors, popularity: npt.NDArray[np.int64]) -> "Ranker":
        """A ranker over the catalogue with these codes [items, D] and interactions in training [items]."""
        distinct, code_of_item = np.unique(codes, axis=0, return_inverse=True)
        order = np.empty(len(codes), dtype=np.int64)
        order[np.argsort(-popularity, kind="stable")] = np.arange(len(codes))
        vectors = item_vectors.normalized(cast(Codes, distinct))
        return cls(vectors, code_of_item.reshape(-1).astype(np.int64), order)

    def ranks(self, users: npt.NDArray[np.float32], targets: Targets) -> npt.NDArray[np.int64]:
        """The rank, from 0, of each user's target among all items: int64 [n].

        Args:
            users: user vectors float32 [n, width], in the order of ``targets``.
            targets: what each user had, and the item to find.
        """
        ranks = np.empty(len(users), dtype=np.int64)
        for start in range(0, len(users), _USERS_PER_BLOCK):
            block = np.arange(start, min(start + _USERS_PER_BLOCK, len(users)))
            scores = (users[block] @ self.distinct.T)[:, self.code_of_item]  # [block, items]
            target = targets.items[block, None]  # [block, 1]
            target_scores = np.take_along_axis(scores, target, axis=1)
            places = self._places(block, targets)  # [block, items]
            before = places < np.take_along_axis(places, target, axis=1)
            ranks[block] = ((scores > target_scores) | ((scores == target_scores) & before)).sum(axis=1)
        return ranks

    def _places(self, block: npt.NDArray[np.int64], targets: Targets) -> npt.NDArray[np.int64]:
        places = np.repeat(self.order[None, :], len(block), axis=0)
        for row, user in enumerate(block):
            had = np.unique(targets.histories[int(user)])
            places[row, had] += len(self.order)
        return places


def ranking_metrics(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    """Recall@10, NDCG@10, Recall@50, NDCG@50 and MRR, averaged over ranks from 0, int64 [n], n at least 1."""
    gains = 1 / np.log2(ranks + 2.0)
    metrics = {}
    for k in (10, 50):
        metrics[f"recall@{k}"] = float(np.mean(ranks < k))
        metrics[f"ndcg@{k}"] = float(np.mean(np.where(ranks < k, gains, 0.0)))
    metrics["mrr"] = float(np.mean(1 / (ranks + 1.0)))
    return metrics
