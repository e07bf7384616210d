"""Runs ─► the table that is printed, and what is written among the results of all benchmarks."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.setting import Setting, beside_full
from training.evaluation.quality import METRICS
from training.evaluation.runs import Run
from training.evaluation.seeds import Summary, summarize

_COLUMNS = ("system", "share", "runs", *METRICS, "training, s", "pre-training, s")


def report_table(runs: Sequence[Run], quick: bool) -> None:
    """Print a row for each system and share, means over seeds, and write it as ``benchmarks/results/quality.json``.

    Figures of validation targets go beside those of the test targets, and those of a quick run beside those of a full
    one where there are any.

    Args:
        runs: at least one, all of one split of one shop.
        quick: whether they are of a quick run.
    """
    first = runs[0]
    summaries = summarize(runs)
    facts = {
        "dataset": first.dataset,
        "split": first.split,
        "users": first.quality.everyone.users,
        "items": first.items,
    }
    deviations = [
        {"system": each.system, "share": each.share, **{name: _deviation(each, name) for name in METRICS}}
        for each in summaries
    ]
    name = "quality" if first.split == "test" else f"quality-{first.split}"
    setting = Setting(beside_full(name) if quick else name, quick, Path())
    setting.report(_COLUMNS, [_row(each) for each in summaries], facts, {"standard deviations": deviations})


def _row(summary: Summary) -> tuple[object, ...]:
    metrics = [summary.figures[f"everyone/{name}"].mean for name in METRICS]
    seconds = [_mean([getattr(run, name) for run in summary.runs]) for name in ("seconds", "pretraining_seconds")]
    return (summary.system, summary.share, len(summary.runs), *metrics, *seconds)


def _mean(values: Sequence[float | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known)) if known else None


def _deviation(summary: Summary, metric: str) -> float | None:
    return summary.figures[f"everyone/{metric}"].deviation
