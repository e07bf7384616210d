"""How each system is made: baselines, a shop alone, and a shop with what was pre-trained on others."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.quality.bench import DOMAIN, Bench, Scored
from benchmarks.quality.clock import clocked
from training.adapt import adapt
from training.adapt_config import AdaptConfig
from training.baselines.item_network import BaselineConfig
from training.baselines.nearest_text import nearest_text_scorer
from training.baselines.popularity import popularity_scorer
from training.baselines.sasrec import train_sasrec
from training.baselines.text_projection import train_text_projection
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.pretrain import pretrain
from training.replace_file import replace_files
from training.train import train
from training.zero_shot import adapt_zero_shot, train_zero_shot


class Recipe(ABC):
    """A way of making a system; its ``repr``, with the settings in it, tells it from every other."""

    @abstractmethod
    def make(self, bench: Bench, seed: int, share: float) -> Scored:
        """Train with a seed on a share of the users, and give what scores. A share of 0 is none of them."""

    def learned_from(self, bench: Bench) -> tuple[object, ...]:
        """What tells the data apart that it learns from."""
        return (bench.dataset.fingerprint,)

    def prepare(self, bench: Bench) -> float | None:  # noqa: B027 - most have nothing in common
        """Make what all its runs have in common, unless it is there.

        Returns:
            The seconds that took when it was made; None where there is no such thing, or they are not known.
        """


@dataclass(frozen=True)
class Popularity(Recipe):
    """What is bought most."""

    def make(self, bench: Bench, seed: int, share: float) -> Scored:  # noqa: ARG002 - chance plays no part
        return bench.by_popularity(popularity_scorer(bench.split, len(bench.dataset.items)))


@dataclass(frozen=True)
class NearestText(Recipe):
    """What is most like the last item in text."""

    def make(self, bench: Bench, seed: int, share: float) -> Scored:  # noqa: ARG002 - nothing is learned
        return bench.by_popularity(nearest_text_scorer(bench.texts))


@dataclass(frozen=True)
class SASRec(Recipe):
    """A vector for each item, known by its ID."""

    config: BaselineConfig

    def make(self, bench: Bench, seed: int, share: float) -> Scored:  # noqa: ARG002 - of all users alone
        config, at = _checkpointed(bench, "sasrec", self.config, seed)
        return bench.by_popularity(train_sasrec(bench.split, len(bench.dataset.items), config, at))


@dataclass(frozen=True)
class ProjectedTexts(Recipe):
    """A linear map of text vectors."""

    config: BaselineConfig

    def make(self, bench: Bench, seed: int, share: float) -> Scored:  # noqa: ARG002 - of all users alone
        config, at = _checkpointed(bench, "projected-texts", self.config, seed)
        return bench.by_popularity(train_text_projection(bench.split, bench.texts, config, at))


def _checkpointed(bench: Bench, name: str, given: BaselineConfig, seed: int) -> tuple[BaselineConfig, CheckpointFolder]:
    """A baseline's settings with this seed, and where a run of it that was cut off goes on."""
    config = replace(given, fit=bench.fit(seed, given.fit))
    return config, CheckpointFolder.of_run(bench.store.cache, name, bench.dataset.fingerprint, config)


@dataclass(frozen=True)
class FromScratch(Recipe):
    """Item codes, learned from the shop alone."""

    config: TrainingConfig

    def make(self, bench: Bench, seed: int, share: float) -> Scored:
        run = replace(self.config, fit=bench.fit(seed, self.config.fit), share=share or 1.0)
        if share == 0:
            return bench.by_adapter(train_zero_shot(bench.dataset.items, DOMAIN, bench.store, run).adapter)
        return bench.by_adapter(train(bench.dataset, DOMAIN, bench.store, run).adapter)


@dataclass(frozen=True)
class Backbone:
    """What was pre-trained on the sources, and the seconds that took, where they are known."""

    path: Path
    seconds: float | None


@dataclass(frozen=True)
class Transferred(Recipe):
    """Item codes, adapted to what was learned from other shops.

    Args:
        pretraining: of the backbone, which is trained once for all seeds of adapting: its own luck is not a shop's.
        config: of adapting.
    """

    pretraining: TrainingConfig
    config: AdaptConfig

    def learned_from(self, bench: Bench) -> tuple[object, ...]:
        return (bench.dataset.fingerprint, bench.sources_learned)

    def prepare(self, bench: Bench) -> float | None:
        return self._backbone(bench).seconds

    def make(self, bench: Bench, seed: int, share: float) -> Scored:
        backbone = self._backbone(bench).path
        run = replace(self.config, fit=bench.fit(seed, self.config.fit), share=share or 1.0)
        if run.alignment is not None:
            run = replace(run, alignment=bench.fit(run.alignment.seed, run.alignment))
        if share == 0:
            return bench.by_adapter(adapt_zero_shot(bench.dataset.items, DOMAIN, backbone, bench.store, run))
        return bench.by_adapter(adapt(bench.dataset, DOMAIN, backbone, bench.store, run))

    def note(self, bench: Bench) -> Path:
        """Where is kept which backbone of the store it is."""
        digest = bench.digest(self.pretraining, bench.sources_learned)
        return bench.store.root / f"backbone-{self.pretraining.tables}-{digest}.json"

    def _backbone(self, bench: Bench) -> Backbone:
        note = self.note(bench)
        if not note.is_file():
            config = replace(self.pretraining, fit=bench.fit(self.pretraining.fit.seed, self.pretraining.fit))
            with clocked(note) as seconds:
                made = pretrain(bench.sources, bench.store, config)
                said = json.dumps({"backbone": made.version, "seconds": seconds()})
            replace_files({note: lambda beside: beside.write_text(said)})
        known = json.loads(note.read_text())
        return Backbone(bench.store.backbones / known["backbone"], known["seconds"])
