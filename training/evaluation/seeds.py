"""Runs that differ in nothing but their seed ─► mean and standard deviation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.quality import UserGroup
from training.evaluation.runs import Run, SplitName

GROUPS = ("everyone", "warm", "cold", "never_seen")


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Args:
        mean: over those runs that have the figure.
        deviation: the standard deviation of a sample (its mean estimated); None for one run alone.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


@dataclass(frozen=True)
class Summary:
    """All runs of one system on one share of one split.

    Args:
        runs: in order of seed.
        figures: by name, such as ``everyone/ndcg@10``, ``lists/coverage``, ``seconds``; what no run has is left out.
    """

    system: str
    dataset: str
    split: SplitName
    share: float
    runs: tuple[Run, ...]
    figures: dict[str, Spread]


def summarize(runs: Sequence[Run]) -> list[Summary]:
    """One summary for each system, data set, split and share, in the order in which they first come."""
    together: dict[tuple[str, str, SplitName, float], list[Run]] = {}
    for run in runs:
        together.setdefault((run.system, run.dataset, run.split, run.share), []).append(run)
    return [Summary(*key, _by_seed(group), _figures(group)) for key, group in together.items()]


def _by_seed(runs: Sequence[Run]) -> tuple[Run, ...]:
    return tuple(sorted(runs, key=lambda run: -1 if run.seed is None else run.seed))


def _figures(runs: Sequence[Run]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in _figures_of(run):
            values.setdefault(name, []).append(value)
    return {name: Spread.of(found) for name, found in values.items()}


def _figures_of(run: Run) -> Iterator[tuple[str, float]]:
    for name in GROUPS:
        group: UserGroup = getattr(run.quality, name)
        for metric, value in group.metrics.items():
            yield f"{name}/{metric}", value
    for name, value in run.quality.lists.model_dump().items():
        if value is not None:
            yield f"lists/{name}", value
    if run.seconds is not None:
        yield "seconds", run.seconds
