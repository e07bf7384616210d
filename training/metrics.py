"""Ranking metrics over a whole catalogue: Recall@k, NDCG@k and MRR with one target a user."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import ItemVectors

_USERS_PER_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Ranker:
    """Ranks every item for a user by cosine, exactly as the service does.

    Items with the same code have the same score to the last bit, since each distinct code is scored once; among them
    the one with the smaller item id is ranked first.

    Args:
        distinct: vectors of length one, float32 [distinct codes, width].
        code_of_item: int64 [items], indices into ``distinct``; items are ordered by item id.
    """

    distinct: npt.NDArray[np.float32]
    code_of_item: npt.NDArray[np.int64]

    @classmethod
    def over(cls, codes: Codes, item_vectors: ItemVectors) -> "Ranker":
        """A ranker over the catalogue with these codes [items, D]."""
        distinct, code_of_item = np.unique(codes, axis=0, return_inverse=True)
        return cls(item_vectors.normalized(cast(Codes, distinct)), code_of_item.reshape(-1).astype(np.int64))

    def ranks(self, users: npt.NDArray[np.float32], targets: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The rank, from 0, of each user's target among all items: int64 [n].

        Args:
            users: user vectors float32 [n, width].
            targets: item indices [n].
        """
        ranks = np.empty(len(users), dtype=np.int64)
        for start in range(0, len(users), _USERS_PER_BLOCK):
            block = slice(start, start + _USERS_PER_BLOCK)
            scores = (users[block] @ self.distinct.T)[:, self.code_of_item]  # [block, items]
            target = np.asarray(targets[block])[:, None]
            target_scores = np.take_along_axis(scores, target, axis=1)
            before = np.arange(scores.shape[1])[None, :] < target
            ranks[block] = ((scores > target_scores) | ((scores == target_scores) & before)).sum(axis=1)
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
