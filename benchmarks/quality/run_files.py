"""Where each run is kept: under a name that says what it was made from, so that no other run is taken for it."""

import re
from collections.abc import Iterable
from pathlib import Path

from benchmarks.quality.bench import Bench
from benchmarks.quality.systems import System
from training.evaluation.runs import Run, read_run_file


def run_file(folder: Path, bench: Bench, system: System, share: float, seed: int | None) -> Path:
    """The file below ``folder`` of one run; another after anything that it is made from has changed."""
    return folder / _name(bench, system, share, "none" if seed is None else str(seed))


def runs_of(folder: Path, bench: Bench, systems: Iterable[System]) -> list[Run]:
    """Every run of these systems that is there, in their order, by share and seed. Other files are not read.

    Raises:
        DataError: if one is not a file of runs.
    """
    runs: list[Run] = []
    for system in systems:
        for share in system.shares:
            files = folder.glob(_name(bench, system, share, "*"))
            found = [run for file in files for run in read_run_file(file)]
            runs += sorted(found, key=lambda run: -1 if run.seed is None else run.seed)
    return runs


def _name(bench: Bench, system: System, share: float, seed: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", system.name.lower()).strip("-")
    digest = bench.digest(system.name, system.recipe, system.recipe.learned_from(bench))
    return f"{slug}-{share:g}-{seed}-{digest}.json"
