"""Results of single runs, kept as JSON, so that runs are collected one by one and reported together."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from training.errors import DataError
from training.evaluation.quality import Quality
from training.evaluation.strict import Strict
from training.replace_file import replace_files

SplitName = Literal["valid", "test"]

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
Name = Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]


class Run(Strict):
    """One system, trained once, on one split of one shop.

    Args:
        system: what is compared; runs that differ in nothing but their seed have one name.
        dataset: the name of the shop's data.
        split: which targets.
        items: the size of the catalogue that was ranked.
        seed: None where chance plays no part.
        share: of the users' training histories that the system learned from; 0 is zero-shot.
        seconds: of training it; None where nothing was trained, or it is not known.
        pretraining_seconds: of what it was adapted from, which other runs may have in common; None as above.
        quality: what came of it.
    """

    system: Name
    dataset: Name
    split: SplitName
    items: int = Field(ge=1)
    seed: int | None = None
    share: float = Field(default=1.0, ge=0, le=1)
    seconds: float | None = Field(default=None, ge=0)
    pretraining_seconds: float | None = Field(default=None, ge=0)
    quality: Quality


class RunFile(Strict):
    """Runs on disk: ``report.json``, or any file of a folder of results."""

    format_version: Literal[1] = 1
    runs: tuple[Run, ...]


def write_runs(path: Path, runs: Iterable[Run]) -> None:
    """Write ``path`` whole, in place of what was there."""
    document = RunFile(runs=tuple(runs)).model_dump_json(indent=2) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_files({path: lambda beside: beside.write_text(document, encoding="utf-8")})


def read_runs(folder: Path) -> list[Run]:
    """The runs of every ``*.json`` in ``folder``, in the order of file names.

    Raises:
        DataError: if there is none, or one is not a file of runs.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataError(f"{folder} holds no results: they are files of the form of report.json")
    return [run for file in files for run in read_run_file(file)]


def read_run_file(file: Path) -> tuple[Run, ...]:
    """The runs of one file.

    Raises:
        DataError: if it is not a file of runs.
    """
    try:
        return RunFile.model_validate_json(file.read_bytes()).runs
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{file} is not a file of results: {where or 'the document'}: {first['msg']}") from error


def is_name(text: str) -> bool:
    """Whether a system or a data set can be called so."""
    return _NAME.fullmatch(text) is not None


def check_runs(runs: Sequence[Run]) -> None:
    """See that the runs can stand in one report.

    Raises:
        DataError: if a run comes twice, or two of one split have not the same users and catalogue.
    """
    repeated = [key for key, count in Counter(_key(run) for run in runs).items() if count > 1]
    if repeated:
        system, dataset, split, share, seed = repeated[0]
        raise DataError(
            f"{system!r} on {dataset} ({split}, share {share:g}) comes twice with the seed {seed}: "
            "name systems apart, or leave one out"
        )
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    for run in runs:
        size = (run.quality.everyone.users, run.items)
        first = sizes.setdefault((run.dataset, run.split), size)
        if size != first:
            raise DataError(
                f"{run.system!r} was evaluated on {size[0]} users and {size[1]} items of {run.dataset} ({run.split}), "
                f"others on {first[0]} and {first[1]}: these are not the same data"
            )


def _key(run: Run) -> tuple[str, str, SplitName, float, int | None]:
    return (run.system, run.dataset, run.split, run.share, run.seed)
