"""What all systems of the table are made from, and how runs made from other things are told apart."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.cpu import available_cpus
from models.manifest import AdapterManifest
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluate import ServedModel
from training.evaluation.adapter_scorer import AdapterScorer
from training.histories import Split, split_leave_one_out
from training.loop import FitConfig
from training.ranking import Scorer, TieOrder
from training.text_encoder_export import provide_text_encoder
from training.text_vectors import encode_texts

DOMAIN = "scientific"

Scored = tuple[Scorer, TieOrder]


@dataclass(frozen=True, eq=False)
class Bench:
    """What all systems are made from.

    Args:
        store: gets what they train.
        dataset: the shop that is recommended to.
        sources: the shops that networks are pre-trained on, by name.
        quick: one epoch of everything.
    """

    store: ArtifactStore
    dataset: Dataset
    sources: Mapping[str, Dataset]
    quick: bool

    @cached_property
    def split(self) -> Split:
        return split_leave_one_out(self.dataset.histories)

    @cached_property
    def texts(self) -> npt.NDArray[np.float16]:
        """[items, text_dim], by the default text encoder."""
        path = provide_text_encoder(TrainingConfig().text_encoder, self.store)
        return encode_texts(self.dataset.texts, TextEncoder.load(path, available_cpus()), self.store.cache)

    @property
    def sources_learned(self) -> tuple[tuple[str, str], ...]:
        """Name and fingerprint of each source, in the order in which a network reads them."""
        return tuple((name, source.fingerprint) for name, source in self.sources.items())

    def digest(self, *identity: object) -> str:
        """Ten hexadecimal digits that tell apart what was made from other things.

        Args:
            identity: anything with a faithful ``repr``. The text encoder, whether the bench is quick, and the version
                of vqrec are told apart beside it.
        """
        whole = (version("vqrec"), self.quick, TrainingConfig().text_encoder, *identity)
        return hashlib.sha256(repr(whole).encode()).hexdigest()[:10]

    def fit(self, seed: int, given: FitConfig = FitConfig()) -> FitConfig:
        return replace(given, seed=seed, max_epochs=1 if self.quick else given.max_epochs)

    def by_popularity(self, scorer: Scorer) -> Scored:
        return scorer, TieOrder.by_popularity(self.split.train.item_counts(len(self.dataset.items)))

    def by_adapter(self, adapter: Bundle[AdapterManifest]) -> Scored:
        scorer = AdapterScorer.over(ServedModel.load(adapter.path), self.dataset.item_ids, self.texts)
        return scorer, scorer.ties
