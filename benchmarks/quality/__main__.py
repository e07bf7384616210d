"""How good recommendations are: every baseline, the item codes and their ablations, in one harness, with three seeds.

Each run is kept in the work folder, so that an interrupted benchmark goes on where it was.
"""

import argparse
import re
from pathlib import Path
from time import monotonic

from benchmarks.quality.systems import DOMAIN, Bench, System, systems
from benchmarks.setting import data_folder
from models.store import ArtifactStore
from training.dataset import load_dataset
from training.evaluation.quality import Catalogue, measure
from training.evaluation.runs import Run, SplitName, read_runs, write_runs
from training.report.files import write_report

SOURCES = ("office", "beauty", "toys", "sports")
SEEDS = (0, 1, 2)


def main() -> None:
    options = _options()
    folder = data_folder("quality", DOMAIN)
    names = SOURCES[:1] if options.quick else SOURCES
    store = ArtifactStore(options.work / ("quick" if options.quick else "full"))
    bench = Bench(
        store, load_dataset(folder / DOMAIN), {name: load_dataset(folder / name) for name in names}, options.quick
    )
    catalogue = Catalogue.of(bench.split, len(bench.dataset.items), bench.texts)
    results = store.root / f"runs-{options.split}"
    for number, system in enumerate(systems()):
        if options.only and not re.search(options.only, system.name):
            continue
        for share in _shares(system, options):
            for seed in _seeds(system, options.seeds[:1] if options.quick else options.seeds):
                path = results / f"{number:02d}-{share:g}-{seed}.json"
                if not path.is_file():
                    write_runs(path, [_run(bench, catalogue, system, (options.split, seed, share))])
    print(write_report(read_runs(results), store.root / f"report-{options.split}"))


def _run(bench: Bench, catalogue: Catalogue, system: System, how: tuple[SplitName, int | None, float]) -> Run:
    split, seed, share = how
    began = monotonic()
    scorer, ties = system.make(bench, seed or 0, share)
    seconds = monotonic() - began
    quality = measure(scorer, ties, bench.split.test if split == "test" else bench.split.valid, catalogue)
    figures = "  ".join(f"{name} {value:.4f}" for name, value in quality.everyone.metrics.items())
    print(f"{system.name}, share {share:g}, seed {seed}: {figures}  {seconds:.0f} s", flush=True)
    return Run(
        system=system.name,
        dataset=DOMAIN,
        split=split,
        items=len(bench.dataset.items),
        seed=seed,
        share=share,
        seconds=seconds,
        quality=quality,
    )


def _shares(system: System, options: argparse.Namespace) -> list[float]:
    shares = system.shares[:1] if options.quick else system.shares
    return [share for share in shares if not options.shares or share in options.shares]


def _seeds(system: System, seeds: tuple[int, ...]) -> tuple[int | None, ...]:
    if not system.seeds:
        return (None,)
    return seeds[:1] if system.ablation else seeds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch of everything: shows that it works")
    parser.add_argument("--work", type=Path, default=Path("demo/benchmarks/quality"), help="a folder to work in")
    parser.add_argument("--only", help="a regular expression: those systems alone, beside what was run before")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of systems in which chance plays a part")
    parser.add_argument("--shares", type=float, nargs="+", help="of the users, of those that a system is trained on")
    parser.add_argument("--split", default="test", choices=["test", "valid"], help="which targets")
    options = parser.parse_args()
    options.work, options.seeds = options.work.resolve(), tuple(options.seeds)
    return options


if __name__ == "__main__":
    main()
