"""The user network over items that have no codes: what SASRec and the projection of texts have in common.

An item encoder gives every item of the catalogue a vector. Network, loss, batches and early stopping are those that
train the item codes, so that a difference in a table of results is a difference between item encoders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.networks.transformer import UserTransformer
from training.baselines.item_vectors import ItemVectors
from training.batches import Batch, epoch_batches, number_of_batches, training_sequences
from training.checkpoint import CheckpointFolder
from training.config import NetworkConfig
from training.histories import Split
from training.loop import FitConfig, Task, fit
from training.metrics import ranking_metrics
from training.progress import say
from training.ranking import TieOrder, target_ranks

_USERS_PER_BLOCK = 512

Similarity = Literal["cosine", "dot"]


@dataclass(frozen=True)
class BaselineConfig:
    """How a baseline is trained.

    Args:
        network: its temperature counts for the cosine alone.
        similarity: how user and item vectors are compared.
        fit: how long and how fast, and the seed of everything.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    similarity: Similarity = "cosine"
    fit: FitConfig = field(default_factory=FitConfig)


class ItemNetwork(nn.Module):
    """Predicts, after every position of a history, which item comes next.

    Args:
        items: called without arguments, it gives the item vectors [items, width] of the whole catalogue.
        trained: bool [items], the items that occur in training; the others are no negatives.
        config: the network's sizes, and how vectors are compared.
    """

    trained_items: torch.Tensor
    place_of_item: torch.Tensor

    def __init__(self, items: nn.Module, trained: npt.NDArray[np.bool_], config: BaselineConfig) -> None:
        super().__init__()
        sizes = config.network
        self.items = items
        self.network = UserTransformer(sizes.architecture, sizes.width, sizes.max_history)
        self.similarity = config.similarity
        self.scale = 1 / sizes.temperature if config.similarity == "cosine" else 1.0
        place = np.where(trained, np.cumsum(trained) - 1, -1)
        self.register_buffer("trained_items", torch.from_numpy(np.flatnonzero(trained)), persistent=False)
        self.register_buffer("place_of_item", torch.from_numpy(place), persistent=False)  # [items]

    def full_softmax(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy over every item that occurs in training; a scalar."""
        vectors: torch.Tensor = self.items()  # [items, width]
        users = self.comparable(self.network(nn.functional.embedding(batch.items, vectors))[batch.counts])
        candidates = self.comparable(nn.functional.embedding(self.trained_items, vectors))
        logits = self.scale * users @ candidates.T  # [positions, trained items]
        return nn.functional.cross_entropy(logits, self.place_of_item[batch.targets])

    def comparable(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors [n, width] whose inner products are what is compared: of length one for the cosine."""
        return nn.functional.normalize(vectors, dim=-1) if self.similarity == "cosine" else vectors


@dataclass(frozen=True, eq=False)
class NetworkScorer:
    """Scores items by the network's user vector after the last item of a history.

    Args:
        model: in evaluation mode.
        raw: item vectors as the network reads them [items, width].
        compared: the same as they are compared.
        rankable: bool [items]; the others have no vector that means anything, and score below all that have.
    """

    model: ItemNetwork
    raw: torch.Tensor
    compared: ItemVectors
    rankable: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, model: ItemNetwork, rankable: npt.NDArray[np.bool_]) -> "NetworkScorer":
        """A scorer with the model's present weights."""
        model.eval()
        with torch.no_grad():
            raw: torch.Tensor = model.items()
            compared = ItemVectors.of(model.comparable(raw).cpu().numpy())
        return cls(model, raw, compared, rankable)

    def scores(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        """Similarities float32 [users, items] of histories that are not empty, oldest item first."""
        users = [
            self._users(histories[start : start + _USERS_PER_BLOCK])
            for start in range(0, len(histories), _USERS_PER_BLOCK)
        ]
        scores = self.compared.scores(np.concatenate(users))
        lowest = scores.min(axis=1, keepdims=True)  # [users, 1]
        return np.where(self.rankable, scores, lowest - 1)

    def _users(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        recent = [history[-self.model.network.max_history :] for history in histories]
        lengths = torch.tensor([len(history) for history in recent])
        items = torch.zeros(len(recent), int(lengths.max()), dtype=torch.int64)
        for row, history in enumerate(recent):
            items[row, : len(history)] = torch.from_numpy(history)
        device = self.raw.device
        with torch.no_grad():
            users = self.model.network.last(self.raw[items.to(device)], lengths.to(device))
            return np.asarray(self.model.comparable(users).cpu().numpy())


@dataclass(frozen=True, eq=False)
class Baseline:
    """A network to be trained.

    Args:
        label: for the progress bar.
        model: with fresh weights.
        rankable: see :class:`NetworkScorer`.
    """

    label: str
    model: ItemNetwork
    rankable: npt.NDArray[np.bool_]

    def train(self, split: Split, config: FitConfig, at: CheckpointFolder) -> NetworkScorer:
        """Train every position of the training histories until validation NDCG@10 stops rising; keep the best weights.

        The checkpoint is left where it is: with the same folder an interrupted training goes on, and one that has ended
        gives its weights at once.
        """
        sequences = training_sequences(split.train, self.model.network.max_history)
        ties = TieOrder.by_popularity(split.train.item_counts(len(self.rankable)))
        task = Task(
            label=self.label,
            model=self.model,
            batches=lambda seed: epoch_batches(sequences, seed),
            batches_per_epoch=number_of_batches(sequences),
            loss=self.model.full_softmax,
            validate=lambda: ranking_metrics(target_ranks(self._scorer(), split.valid, ties))["ndcg@10"],
        )
        result = fit(task, config, at)
        say(f"{self.label}: {result}")
        return self._scorer()

    def _scorer(self) -> NetworkScorer:
        return NetworkScorer.of(self.model, self.rankable)
