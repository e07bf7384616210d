"""The network and the tables of the shops that it is trained on, and the losses over both."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.networks.code_embedding import TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from training.batches import Batch
from training.config import TrainingConfig
from training.histories import Targets
from training.metrics import Ranker, ranking_metrics
from training.shop import Shop

_USERS_PER_BLOCK = 512


class NextItemModel(nn.Module):
    """Predicts, after every position of a history, what comes next.

    Items of several shops share one numbering: a shop's items follow those of the shops before it.

    Args:
        network: item vectors ─► user vectors.
        tables: codes ─► item vectors, one table a shop.
        shops: in the order of the tables.
        temperature: what cosines are divided by to make logits.
    """

    rows: torch.Tensor
    trained_items: torch.Tensor
    place_of_item: torch.Tensor

    def __init__(
        self, network: UserTransformer, tables: TiedCodeEmbedding, shops: Sequence[Shop], temperature: float
    ) -> None:
        super().__init__()
        self.network = network
        self.tables = tables
        self.shops = list(shops)
        self.temperature = temperature
        self.first_items = np.cumsum([0] + [len(shop.codes) for shop in shops])
        rows = torch.cat([tables.rows(domain, shop.codes) for domain, shop in enumerate(shops)])
        trained = np.concatenate(
            [shop.trained_items + first for shop, first in zip(shops, self.first_items, strict=False)]
        )
        place = np.full(len(rows), -1, dtype=np.int64)
        place[trained] = np.arange(len(trained))
        self.register_buffer("rows", rows, persistent=False)  # [items, D]
        self.register_buffer("trained_items", torch.from_numpy(trained), persistent=False)
        self.register_buffer("place_of_item", torch.from_numpy(place), persistent=False)  # [items]

    def users(self, vectors: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """User vectors of length one [positions, width] of every position that counts.

        Args:
            vectors: item vectors [batch, time, width].
            counts: bool [batch, time].
        """
        return nn.functional.normalize(self.network(vectors)[counts], dim=-1)

    def full_softmax(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy over every item that occurs in training; a scalar."""
        vectors = self.tables(self.rows)  # [items, width]
        users = self.users(vectors[batch.items], batch.counts)
        candidates = nn.functional.normalize(vectors[self.trained_items], dim=-1)
        logits = users @ candidates.T / self.temperature  # [positions, trained items]
        return nn.functional.cross_entropy(logits, self.place_of_item[batch.targets])

    def in_batch_contrastive(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy over the targets of the batch, which come from all shops; a scalar.

        Targets with the same code are one candidate, so that no positive is its own negative (VQ-Rec, section 3.3).
        """
        inputs, input_place = torch.unique(batch.items, return_inverse=True)
        users = self.users(self.tables(self.rows[inputs])[input_place], batch.counts)
        codes, positive = torch.unique(self.rows[batch.targets], dim=0, return_inverse=True)
        candidates = nn.functional.normalize(self.tables(codes), dim=-1)
        return nn.functional.cross_entropy(users @ candidates.T / self.temperature, positive)

    def evaluate(self, domain: int, targets: Targets) -> dict[str, float]:
        """Ranking metrics of one shop over its whole catalogue."""
        shop, table = self.shops[domain], self.tables.fold(domain)
        vectors = torch.from_numpy(table.raw(shop.codes))
        blocks = targets.histories.recent_blocks(_USERS_PER_BLOCK, self.network.max_history)
        users = np.concatenate([self._last_users(vectors, block) for block in blocks])
        return ranking_metrics(Ranker.over(shop.codes, table, shop.training_counts).ranks(users, targets))

    def _last_users(self, vectors: torch.Tensor, histories: list[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        items = torch.zeros(len(histories), max(len(history) for history in histories), dtype=torch.int64)
        last = torch.zeros_like(items, dtype=torch.bool)
        for row, history in enumerate(histories):
            items[row, : len(history)] = torch.from_numpy(history)
            last[row, len(history) - 1] = True
        with torch.no_grad():
            users = self.users(vectors[items], last)  # [block, width]
        return np.asarray(users.numpy())


def new_model(shops: Sequence[Shop], config: TrainingConfig) -> NextItemModel:
    """A fresh network and fresh tables for these shops; the seed decides their weights."""
    torch.manual_seed(config.fit.seed)
    sizes = config.network
    network = UserTransformer(sizes.architecture, sizes.width, sizes.max_history)
    tables = TiedCodeEmbedding([shop.quantizer for shop in shops], sizes.width)
    return NextItemModel(network, tables, shops, sizes.temperature)
