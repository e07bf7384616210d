"""What the benchmarks share: where the real data is, where results go, and the options they all take."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.cpu import available_cpus
from models.store import ArtifactStore
from training.config import TrainingConfig
from training.dataset import Dataset, load_dataset
from training.loop import FitConfig
from training.train import train

_REPOSITORY = Path(__file__).parents[1]
_MANY = 1000

RESULTS = _REPOSITORY / "benchmarks" / "results"
"""Where every benchmark leaves its figures as JSON."""


@dataclass(frozen=True)
class Setting:
    """How a benchmark was called.

    Args:
        name: of the benchmark.
        quick: a smaller run that shows that it works, not what it measures.
        work: a folder for artifacts, kept so that a second run need not train again.
        port: of a service that it starts.
        trained: a store with an adapter that some other run left; None to train one in the work folder.
        items: sizes of the catalogues that it is measured with; none for the benchmark's own.
    """

    name: str
    quick: bool
    work: Path
    port: int = 8099
    trained: Path | None = None
    items: tuple[int, ...] = ()

    @property
    def artifacts(self) -> Path:
        """The store that :meth:`adapter` looks into first."""
        return self.trained or self.work / "artifacts"

    @property
    def caches(self) -> Path:
        """A folder for what quick runs and full ones make alike and need not make again."""
        return self.work.parent / "scaled"

    def dataset(self, domain: str) -> Dataset:
        """One of the real data sets in the folder that VQREC_DATA names. Without it the benchmark ends, saying so."""
        return load_dataset(data_folder(self.name, domain) / domain)

    def adapter(self, dataset: Dataset, domain: str, store: ArtifactStore) -> Path:
        """The adapter that an earlier run left in the store, else one that is trained now with the default settings."""
        there = sorted(store.adapters(domain).glob("[!.]*"), key=lambda path: path.stat().st_mtime)
        if there:
            return there[-1]
        config = TrainingConfig(fit=FitConfig(max_epochs=1)) if self.quick else TrainingConfig()
        return train(dataset, domain, store, config).adapter.path

    def report(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        facts: Mapping[str, object],
        series: Mapping[str, Sequence[object]] | None = None,
    ) -> None:
        """Print a table and further facts, and write both as ``benchmarks/results/<name>.json``.

        Args:
            columns, rows: the table.
            facts: by name.
            series: what is written and too long to print, such as the points of a plot.
        """
        cells = [list(columns), *[[_show(value) for value in row] for row in rows]]
        widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
        for row in cells:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        for key, value in facts.items():
            print(f"{key}: {value}")
        RESULTS.mkdir(exist_ok=True)
        table = [dict(zip(columns, row, strict=True)) for row in rows]
        document = {"quick": self.quick, "cpus": available_cpus(), "table": table, **facts, **(series or {})}
        (RESULTS / f"{self.name}.json").write_text(json.dumps(document, indent=2) + "\n")


def beside_full(name: str) -> str:
    """The name for the results of a quick run of the benchmark ``name``: another where a full run has left some."""
    path = RESULTS / f"{name}.json"
    return f"{name}-quick" if path.is_file() and not json.loads(path.read_text())["quick"] else name


def data_folder(name: str, domain: str) -> Path:
    """The folder that VQREC_DATA names; where it does not have the domain, the benchmark ``name`` ends, saying so."""
    folder = Path(os.environ.get("VQREC_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (folder / domain).is_dir():
        sys.exit(f"{name}: skipped, there is no {domain} in {folder}: set VQREC_DATA to the folder that has it")
    return folder


def read_setting(name: str, description: str) -> Setting:
    """Read the command line of the benchmark ``name``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works")
    parser.add_argument("--work", type=Path, default=_REPOSITORY / "demo" / "benchmarks", help="a folder to work in")
    parser.add_argument("--port", type=int, default=Setting.port, help="of the service that it starts")
    parser.add_argument("--trained", type=Path, help="an artifact folder with an adapter, instead of training one")
    parser.add_argument("--items", type=int, nargs="+", default=[], help="sizes of the catalogues, instead of its own")
    options = parser.parse_args()
    work = options.work.resolve() / ("quick" if options.quick else "full")
    return Setting(name, options.quick, work, options.port, options.trained, tuple(options.items))


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _MANY else f"{value:.4f}"
    return "-" if value is None else str(value)
