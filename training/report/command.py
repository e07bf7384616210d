"""``vqrec report``: exported adapters, and what they are measured against, side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from training.baselines.nearest_text import nearest_text_scorer
from training.baselines.popularity import popularity_scorer
from training.dataset import Dataset, load_dataset
from training.errors import DataError
from training.evaluate import ServedModel
from training.evaluation.adapter_scorer import AdapterScorer
from training.evaluation.quality import Catalogue, measure
from training.evaluation.runs import Run, SplitName, is_name, read_runs
from training.histories import Split, split_leave_one_out
from training.progress import progress_bar
from training.ranking import Scorer, TieOrder
from training.report.files import write_report
from training.text_vectors import encode_texts


@dataclass(frozen=True)
class NamedAdapter:
    """An adapter as it is reported.

    Args:
        path: the artifact, in its artifact folder.
        system: what it is called; adapters of one name are runs of one system. By default its domain and version.
    """

    path: Path
    system: str | None = None

    @classmethod
    def parse(cls, text: str) -> "NamedAdapter":
        """``PATH`` or ``NAME=PATH``. What is there as it stands is a path, equals sign or not.

        Raises:
            DataError: if there is no such folder, or the name cannot stand in a table.
        """
        name, equals, rest = text.partition("=")
        adapter = cls(Path(rest), name) if equals and name and not Path(text).is_dir() else cls(Path(text))
        if not adapter.path.is_dir():
            raise DataError(f"there is no adapter at {adapter.path}")
        if adapter.system is not None and not is_name(adapter.system):
            raise DataError(f"{adapter.system!r} cannot stand in a table: a name is one line of at most 200 characters")
        return adapter


@dataclass(frozen=True)
class ReportConfig:
    """What is evaluated.

    Args:
        data: the shop's items and interactions; reported under the folder's name.
        adapters: at least one. Likeness of texts is measured by the text encoder of the first.
        baselines: whether popularity and the nearest text stand beside them.
        split: which targets.
    """

    data: Path
    adapters: tuple[NamedAdapter, ...]
    baselines: bool = False
    split: SplitName = "test"


@dataclass(frozen=True, eq=False)
class _Shop:
    dataset: Dataset
    split: Split
    catalogue: Catalogue
    texts: npt.NDArray[np.float16]  # [items, text_dim]


@dataclass(frozen=True, eq=False)
class _System:
    name: str
    seed: int | None
    scorer: Scorer
    ties: TieOrder
    share: float = 1.0


def report(evaluated: ReportConfig | None, results: Path | None, out: Path) -> Path:
    """Write a report of the runs in the folder ``results``, and of what is evaluated now, into ``out``.

    Returns:
        The page in HTML.

    Raises:
        DataError: if there is nothing to report, runs cannot stand in one report, or ``out`` is ``results``.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :meth:`ServedModel.load`.
    """
    if results is not None and results.resolve() == out.resolve():
        raise DataError(f"{out} holds the results: a report beside them would be read as more of them the next time")
    runs = [] if results is None else read_runs(results)
    if evaluated is not None:
        runs += evaluate_systems(evaluated)
    return write_report(runs, out)


def evaluate_systems(config: ReportConfig) -> list[Run]:
    """One run for each baseline and each adapter.

    Raises:
        DataError: if no user can be evaluated.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :meth:`ServedModel.load`.
    """
    shop = _open(config)
    targets = shop.split.test if config.split == "test" else shop.split.valid
    runs = []
    with progress_bar(len(config.adapters) + 2 * config.baselines, "evaluating", unit="system") as bar:
        for system in _systems(shop, config):
            run = Run(
                system=system.name,
                dataset=config.data.resolve().name or "data",
                split=config.split,
                items=len(shop.dataset.items),
                seed=system.seed,
                share=system.share,
                quality=measure(system.scorer, system.ties, targets, shop.catalogue),
            )
            runs.append(run)
            bar.update(1)
    return runs


def _open(config: ReportConfig) -> _Shop:
    dataset, first = load_dataset(config.data), ServedModel.load(config.adapters[0].path)
    split = split_leave_one_out(dataset.histories)
    texts = encode_texts(dataset.texts, first.encoder, first.cache)
    return _Shop(dataset, split, Catalogue.of(split, len(dataset.items), texts), texts)


def _systems(shop: _Shop, config: ReportConfig) -> Iterator[_System]:
    """One at a time, so that one network at most is in memory."""
    if config.baselines:
        ties = TieOrder.by_popularity(shop.catalogue.training_counts)
        yield _System("popularity", None, popularity_scorer(shop.split, len(shop.dataset.items)), ties)
        yield _System("nearest text", None, nearest_text_scorer(shop.texts), ties)
    for adapter in config.adapters:
        model = ServedModel.load(adapter.path)
        bundle = model.adapter.bundle
        texts = encode_texts(shop.dataset.texts, model.encoder, model.cache)
        scorer = AdapterScorer.over(model, shop.dataset.item_ids, texts)
        name = adapter.system or f"{bundle.manifest.domain} {bundle.version}"
        made_with = bundle.manifest.made_with
        yield _System(name, _seed(made_with), scorer, scorer.ties, _share(made_with))


def _seed(made_with: Mapping[str, JsonValue]) -> int | None:
    fit = made_with.get("fit")
    seed = fit.get("seed") if isinstance(fit, dict) else None
    return seed if isinstance(seed, int) else None


def _share(made_with: Mapping[str, JsonValue]) -> float:
    """Of the users that an adapter learned from: what it says, none if it was made without histories, else all."""
    if made_with.get("zero_shot") is True:
        return 0.0
    share = made_with.get("share")
    return float(share) if isinstance(share, int | float) else 1.0
