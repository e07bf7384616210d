"""How good recommendations are: every baseline, the item codes and their ablations, in one harness, with three seeds.

Each run is kept in the work folder, so that an interrupted benchmark goes on where it was. A run is made anew after
its settings, its data or the version of vqrec have changed; other changes of the code ask for another work folder.
"""

import argparse
import re
import sys
from pathlib import Path

from benchmarks.quality.bench import DOMAIN, Bench
from benchmarks.quality.clock import clocked
from benchmarks.quality.run_files import run_file, runs_of
from benchmarks.quality.systems import System, planned, systems
from benchmarks.quality.table import report_table
from benchmarks.setting import data_folder
from models.store import ArtifactStore
from training.dataset import load_dataset
from training.evaluation.quality import Catalogue, measure
from training.evaluation.runs import Run, SplitName, write_runs
from training.report.files import write_report

SOURCES = ("office", "beauty", "toys", "sports")
SEEDS = (0, 1, 2)


def main() -> None:
    options = _options()
    chosen = [system for system in systems() if re.search(options.only, system.name)]
    plan = list(planned(chosen, options.shares, options.quick))
    if not plan:
        sys.exit("quality: no system has such a name and is trained on such a share of the users")
    folder = data_folder("quality", DOMAIN)
    names = SOURCES[:1] if options.quick else SOURCES
    store = ArtifactStore(options.work / ("quick" if options.quick else "full"))
    bench = Bench(
        store, load_dataset(folder / DOMAIN), {name: load_dataset(folder / name) for name in names}, options.quick
    )
    catalogue = Catalogue.of(bench.split, len(bench.dataset.items), bench.texts)
    results = store.root / f"runs-{options.split}"
    for system, share in plan:
        for seed in _seeds(system, options.seeds[:1] if options.quick else options.seeds):
            path = run_file(results, bench, system, share, seed)
            if not path.is_file():
                write_runs(path, [_run(bench, catalogue, system, (options.split, seed, share), path)])
    runs = runs_of(results, bench, systems())
    page = write_report(runs, store.root / f"report-{options.split}")
    report_table(runs, options.quick)
    print(page)


def _run(
    bench: Bench, catalogue: Catalogue, system: System, how: tuple[SplitName, int | None, float], path: Path
) -> Run:
    split, seed, share = how
    pretraining = system.recipe.prepare(bench)
    with clocked(path) as elapsed:
        scorer, ties = system.recipe.make(bench, seed or 0, share)
        seconds = elapsed()
    quality = measure(scorer, ties, bench.split.test if split == "test" else bench.split.valid, catalogue)
    figures = "  ".join(f"{name} {value:.4f}" for name, value in quality.everyone.metrics.items())
    took = "" if seconds is None else f"  {seconds:.0f} s"
    before = "" if pretraining is None else f", after {pretraining:.0f} s of pre-training"
    print(f"{system.name}, share {share:g}, seed {seed}: {figures}{took}{before}", flush=True)
    return Run(
        system=system.name,
        dataset=DOMAIN,
        split=split,
        items=len(bench.dataset.items),
        seed=seed,
        share=share,
        seconds=seconds,
        pretraining_seconds=pretraining,
        quality=quality,
    )


def _seeds(system: System, seeds: tuple[int, ...]) -> tuple[int | None, ...]:
    if not system.seeds:
        return (None,)
    return seeds[:1] if system.ablation else seeds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch of everything: shows that it works")
    parser.add_argument("--work", type=Path, default=Path("demo/benchmarks/quality"), help="a folder to work in")
    parser.add_argument("--only", default="", help="a regular expression: those systems, beside what was run before")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of systems in which chance plays a part")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=(), help="of the users, of those that a system is trained on"
    )
    parser.add_argument("--split", default="test", choices=["test", "valid"], help="which targets")
    options = parser.parse_args()
    options.work, options.seeds = options.work.resolve(), tuple(options.seeds)
    return options


if __name__ == "__main__":
    main()
