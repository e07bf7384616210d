"""``vqrec evaluate``: the metrics of the exported artifact itself, run as the service runs it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.codes import Codes
from models.cpu import available_cpus
from models.store import store_of
from models.text_encoder import TextEncoder
from training.dataset import Dataset
from training.errors import DataError
from training.histories import Histories, Targets, split_leave_one_out
from training.metrics import Ranker, ranking_metrics
from training.text_vectors import encode_texts

_USERS_PER_BLOCK = 512


@dataclass(frozen=True)
class Evaluation:
    """Leave-one-out over the full catalogue.

    Args:
        test, valid: metrics by name, averaged over users.
        users: how many were evaluated.
        items: the size of the catalogue that was ranked.
        seconds: what it took, encoding texts included.
    """

    test: dict[str, float]
    valid: dict[str, float]
    users: int
    items: int
    seconds: float


@dataclass(frozen=True, eq=False)
class ServedModel:
    """An adapter with the backbone and text encoder it names: what the service computes with."""

    adapter: DomainAdapter
    backbone: Backbone
    encoder: TextEncoder
    cache: Path

    @classmethod
    def load(cls, adapter_path: Path) -> "ServedModel":
        """Read all three, verified, from the store that the adapter lies in.

        Raises:
            InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: if one is missing or not sound.
        """
        store = store_of(adapter_path)
        adapter = DomainAdapter.load(adapter_path)
        manifest, threads = adapter.bundle.manifest, available_cpus()
        backbone_path = store.find(store.backbones, manifest.backbone)
        encoder_path = store.find(store.text_encoders, manifest.text_encoder)
        backbone = Backbone.load(backbone_path, threads, manifest.backbone)
        encoder = TextEncoder.load(encoder_path, threads, manifest.text_encoder)
        return cls(adapter, backbone, encoder, store.cache)

    def encode_items(self, texts: list[str]) -> Codes:
        """Codes [items, D] of item texts."""
        return self.adapter.quantizer.encode(encode_texts(texts, self.encoder, self.cache))

    def user_vectors(self, histories: Histories, codes: Codes) -> npt.NDArray[np.float32]:
        """User vectors [users, width] after each whole history, given the catalogue's codes [items, D]."""
        items = self.adapter.table.raw(codes)
        longest = self.backbone.bundle.manifest.max_history
        network = self.backbone.network
        blocks = histories.recent_blocks(_USERS_PER_BLOCK, longest)
        return np.concatenate([network.user_vectors([items[history] for history in block]) for block in blocks])


def evaluate(
    dataset: Dataset,
    adapter_path: Path,
    exclude_history: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Score the adapter at ``adapter_path`` on the validation and the test targets of ``dataset``.

    Args:
        dataset: of the adapter's shop.
        adapter_path: in its store.
        exclude_history: rank what a user has not had, as the service does by default, and not, as publications do, all
            items. What a user buys again is then never found.
        clock: seconds, of the time that it takes.

    Raises:
        DataError: if no user has the three interactions that evaluation needs.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :meth:`ServedModel.load`.
    """
    start = clock()
    split = split_leave_one_out(dataset.histories)
    if len(split.test) == 0:
        raise DataError("no user has three interactions: there is nothing to evaluate on")
    model = ServedModel.load(adapter_path)
    codes = model.encode_items(dataset.texts)
    popularity = np.array([model.adapter.popularity.get(item_id, 0) for item_id in dataset.item_ids], dtype=np.int64)
    ranker = Ranker.over(codes, model.adapter.table, popularity)

    def metrics(targets: Targets) -> dict[str, float]:
        return ranking_metrics(ranker.ranks(model.user_vectors(targets.histories, codes), targets, exclude_history))

    test, valid = metrics(split.test), metrics(split.valid)
    return Evaluation(test, valid, len(split.test), len(dataset.item_ids), clock() - start)
