"""What stands in the table of quality: baselines, the item codes, and the item codes with one thing left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.codes import CodeLayout
from models.cpu import available_cpus
from models.manifest import AdapterManifest, TableKind, TransformerArchitecture
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.adapt import adapt
from training.adapt_config import AdaptConfig
from training.baselines.item_network import BaselineConfig
from training.baselines.nearest_text import nearest_text_scorer
from training.baselines.popularity import popularity_scorer
from training.baselines.sasrec import train_sasrec
from training.baselines.text_projection import train_text_projection
from training.checkpoint import CheckpointFolder
from training.config import NetworkConfig, TrainingConfig
from training.dataset import Dataset
from training.evaluate import ServedModel
from training.evaluation.adapter_scorer import AdapterScorer
from training.histories import Split, split_leave_one_out
from training.loop import FitConfig
from training.pretrain import pretrain
from training.ranking import Scorer, TieOrder
from training.text_encoder_export import provide_text_encoder
from training.text_vectors import encode_texts
from training.train import train
from training.zero_shot import adapt_zero_shot, train_zero_shot

DOMAIN = "scientific"
SHARES = (0.01, 0.05, 0.2, 1.0)

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

    def fit(self, seed: int, given: FitConfig = FitConfig()) -> FitConfig:
        return replace(given, seed=seed, max_epochs=1 if self.quick else given.max_epochs)

    def by_popularity(self, scorer: Scorer) -> Scored:
        return scorer, TieOrder.by_popularity(self.split.train.item_counts(len(self.dataset.items)))

    def by_adapter(self, adapter: Bundle[AdapterManifest]) -> Scored:
        scorer = AdapterScorer.over(ServedModel.load(adapter.path), self.dataset.item_ids, self.texts)
        return scorer, scorer.ties


@dataclass(frozen=True)
class System:
    """A row of the table.

    Args:
        make: trains it with a seed on a share of the users, and gives what scores.
        seeds: whether chance plays a part.
        shares: of the users that it is trained on; 0 is none.
        ablation: whether it is there to show what one thing is worth.
    """

    name: str
    make: Callable[[Bench, int, float], Scored]
    seeds: bool = True
    shares: tuple[float, ...] = (1.0,)
    ablation: bool = False


def systems() -> Iterator[System]:
    """In the order of the table."""
    yield System("popularity", _popularity, seeds=False)
    yield System("nearest text", _nearest_text, seeds=False)
    yield System("SASRec, item IDs", _sasrec)
    yield System("projected texts, no codes", _projected_texts)
    yield System("VQ-Rec's recipe, from scratch", partial(_from_scratch, _published), shares=SHARES)
    yield System("vqrec, from scratch", partial(_from_scratch, TrainingConfig()), shares=(0.0, *SHARES))
    yield System("vqrec, transferred", partial(_transferred, "projected"), shares=(0.0, *SHARES))
    yield System("shared quantiser, transferred", partial(_transferred, "shared"), shares=(0.0, *SHARES), ablation=True)
    yield System("permuted table, transferred", partial(_transferred, "permuted"), ablation=True)
    yield System("permuted table, not aligned", partial(_transferred, "permuted", aligned=False), ablation=True)
    for name, config in _ablations().items():
        yield System(name, partial(_from_scratch, config), ablation=True)


_PLAIN = NetworkConfig(TransformerArchitecture())
# Free rows, a random start, and none of what was added: as published but for every position in one pass.
_published = TrainingConfig(tables="permuted", fingerprints=0, network=_PLAIN, fit=FitConfig())
_PRETRAINING = FitConfig(max_epochs=6, patience=2, learning_rate=3e-3, network_rate=0.03)
# Rows that all shops share are what may learn from them; training the network beside them only cost.
_PRETRAINING_ROWS = FitConfig(max_epochs=4, patience=1, learning_rate=1e-3, network_rate=0.0)


def _ablations() -> dict[str, TrainingConfig]:
    return {
        "network trained, too": TrainingConfig(fit=FitConfig(weight_decay=TrainingConfig().fit.weight_decay)),
        "without fingerprint": TrainingConfig(fingerprints=0),
        "tied rows, trained from random": TrainingConfig(
            fingerprints=0, text_start=False, network=_PLAIN, fit=FitConfig()
        ),
        "48 codebooks": TrainingConfig(layout=CodeLayout(48, 256)),
    }


def _popularity(bench: Bench, _seed: int, _share: float) -> Scored:
    return bench.by_popularity(popularity_scorer(bench.split, len(bench.dataset.items)))


def _nearest_text(bench: Bench, _seed: int, _share: float) -> Scored:
    return bench.by_popularity(nearest_text_scorer(bench.texts))


def _sasrec(bench: Bench, seed: int, _share: float) -> Scored:
    config = BaselineConfig(_PLAIN, fit=bench.fit(seed))
    at = CheckpointFolder.of_run(bench.store.cache, "sasrec", bench.dataset.fingerprint, config)
    return bench.by_popularity(train_sasrec(bench.split, len(bench.dataset.items), config, at))


def _projected_texts(bench: Bench, seed: int, _share: float) -> Scored:
    config = BaselineConfig(_PLAIN, fit=bench.fit(seed))
    at = CheckpointFolder.of_run(bench.store.cache, "projected-texts", bench.dataset.fingerprint, config)
    return bench.by_popularity(train_text_projection(bench.split, bench.texts, config, at))


def _from_scratch(config: TrainingConfig, bench: Bench, seed: int, share: float) -> Scored:
    run = replace(config, fit=bench.fit(seed, config.fit), share=share or 1.0)
    if share == 0:
        return bench.by_adapter(train_zero_shot(bench.dataset.items, DOMAIN, bench.store, run).adapter)
    return bench.by_adapter(train(bench.dataset, DOMAIN, bench.store, run).adapter)


def _transferred(tables: TableKind, bench: Bench, seed: int, share: float, aligned: bool = True) -> Scored:
    backbone = _backbone(tables, bench)
    config = AdaptConfig(fit=bench.fit(seed, AdaptConfig().fit), share=share or 1.0)
    if not aligned:
        config = replace(config, alignment=None)
    if share == 0:
        return bench.by_adapter(adapt_zero_shot(bench.dataset.items, DOMAIN, backbone, bench.store, config))
    return bench.by_adapter(adapt(bench.dataset, DOMAIN, backbone, bench.store, config))


def _backbone(tables: TableKind, bench: Bench) -> Path:
    """Pre-trained once for all seeds of adapting: its own luck is not a shop's."""
    note = bench.store.root / f"backbone-{tables}"
    if not note.is_file():
        given = _PRETRAINING_ROWS if tables == "shared" else _PRETRAINING
        config = TrainingConfig(tables=tables, fit=bench.fit(0, given))
        if tables == "permuted":  # as published
            config = replace(config, fingerprints=0, network=_PLAIN, redrawn_share=0.75, drawn_negatives=0)
            config = replace(config, fit=bench.fit(0, FitConfig(max_epochs=_PRETRAINING.max_epochs)))
        note.write_text(str(pretrain(bench.sources, bench.store, config).path))
    return Path(note.read_text())
