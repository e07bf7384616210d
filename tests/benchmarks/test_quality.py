"""Which runs the table of quality is made of, what their files are called, and what their clock counts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import setting
from benchmarks.quality import __main__ as command
from benchmarks.quality import bench as bench_module
from benchmarks.quality import clock as quality_clock
from benchmarks.quality import recipes
from benchmarks.quality.bench import Bench, Scored
from benchmarks.quality.clock import clocked
from benchmarks.quality.recipes import FromScratch, Popularity, Recipe, Transferred
from benchmarks.quality.run_files import run_file, runs_of
from benchmarks.quality.systems import System, planned, systems
from benchmarks.quality.table import report_table
from models.store import ArtifactStore
from tests.training.evaluation.some_runs import some_run
from training.adapt_config import AdaptConfig
from training.baselines.popularity import popularity_scorer
from training.config import TrainingConfig
from training.dataset import Dataset, Items
from training.evaluation.quality import Catalogue
from training.evaluation.runs import write_runs
from training.histories import Histories
from training.loop import FitConfig

FOLDER = Path("runs")


def shop(text: str = "a screw") -> Dataset:
    items = Items(("a", "b", "c", "d"), [text, "a bolt", "a nut", "a nail"], [{}, {}, {}, {}])
    histories = Histories(("u", "v"), np.array([0, 1, 2, 3, 3, 2, 1], dtype=np.int32), np.array([0, 4, 7]))
    return Dataset(items, histories)


def bench_of(root: Path = Path("store"), *, quick: bool = False, text: str = "a screw", source: str = "a saw") -> Bench:
    return Bench(ArtifactStore(root), shop(text), {"tools": shop(source)}, quick)


def scratch(**changes: object) -> System:
    return System("codes, from scratch", FromScratch(replace(TrainingConfig(), **changes)), shares=(0.05, 1.0))


def transferred(**pretraining: object) -> System:
    return System("codes, transferred", Transferred(replace(TrainingConfig(), **pretraining), AdaptConfig()))


def name(system: System, bench: Bench, share: float = 1.0, seed: int | None = 0) -> str:
    return run_file(FOLDER, bench, system, share, seed).name


def test_a_file_is_called_by_its_system_share_and_seed_and_the_same_run_is_called_the_same_again() -> None:
    found = name(scratch(), bench_of(), 0.05, 2)
    assert found.startswith("codes-from-scratch-0.05-2-")
    assert found == name(scratch(), bench_of(Path("elsewhere")), 0.05, 2)
    assert name(System("popularity", Popularity(), seeds=False), bench_of(), seed=None).startswith("popularity-1-none-")


def test_what_is_made_from_something_else_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = scratch(), transferred()
    names = [name(ours, bench_of()), name(theirs, bench_of())]
    names += [name(scratch(fingerprints=0), bench_of()), name(scratch(fit=FitConfig(weight_decay=0.5)), bench_of())]
    names += [name(transferred(drawn_negatives=7), bench_of())]
    names += [name(replace(theirs, recipe=Transferred(TrainingConfig(), AdaptConfig(alignment=None))), bench_of())]
    names += [name(system, bench_of(text="a brass screw")) for system in (ours, theirs)]
    names += [name(system, bench_of(quick=True)) for system in (ours, theirs)]
    names += [name(theirs, bench_of(source="a jigsaw"))]
    assert name(ours, bench_of(source="a jigsaw")) == names[0]
    monkeypatch.setattr(bench_module, "version", lambda _: "another")
    names += [name(system, bench_of()) for system in (ours, theirs)]
    assert len(set(names)) == len(names)


def test_all_systems_have_names_of_their_own_wherever_they_stand() -> None:
    all_systems = list(systems())
    names = [name(system, bench_of()) for system in all_systems]
    assert len(set(names)) == len(names)
    assert [name(system, bench_of()) for system in systems()] == names


def test_only_runs_of_the_systems_of_today_are_read_in_their_order(tmp_path: Path) -> None:
    bench, system, other = bench_of(), scratch(), transferred()
    runs = [
        some_run(0.1, system=other.name),
        *(some_run(0.1, system=system.name, share=share, seed=seed) for share in (0.05, 1.0) for seed in (0, 1, 10)),
    ]
    for run in reversed(runs):
        made_by = other if run.system == other.name else system
        write_runs(run_file(tmp_path, bench, made_by, run.share, run.seed), [run])
    stale = scratch(fingerprints=0)
    write_runs(run_file(tmp_path, bench, stale, 1.0, 0), [some_run(0.9, system=system.name)])
    (tmp_path / "05-1-0.json").write_text("not even a run")
    assert runs_of(tmp_path, bench, [other, system]) == runs
    assert runs_of(tmp_path, bench, [stale]) == [some_run(0.9, system=system.name)]
    assert runs_of(tmp_path, bench_of(text="a brass screw"), [other, system]) == []
    assert runs_of(tmp_path / "missing", bench, [system]) == []


def plan(only: str = "", shares: tuple[float, ...] = (), *, quick: bool = True) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for system, share in planned([system for system in systems() if only in system.name], shares, quick):
        found.setdefault(system.name, []).append(share)
    return found


def test_a_quick_run_has_every_system_at_its_largest_share_and_one_curve() -> None:
    found = plan()
    assert list(found) == [system.name for system in systems()]
    assert all(shares[-1] == 1 for shares in found.values())
    assert [len(shares) for shares in found.values() if len(shares) > 1] == [2]
    assert plan("vqrec, from") == {"vqrec, from scratch": [0, 1]}


def test_shares_that_are_asked_for_are_run_where_a_system_has_them() -> None:
    for quick in (True, False):
        assert plan("vqrec, from", (0.05,), quick=quick) == {"vqrec, from scratch": [0.05]}
        assert plan("SASRec", (0.05,), quick=quick) == {}
    assert plan(quick=False) == {system.name: list(system.shares) for system in systems()}


def test_a_backbone_is_pre_trained_once_and_its_note_goes_by_what_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[TrainingConfig] = []
    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr(quality_clock, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(
        recipes, "pretrain", lambda _sources, _store, config: made.append(config) or SimpleNamespace(version="c0ffee")
    )
    recipe = Transferred(TrainingConfig(), AdaptConfig())
    for _ in range(2):
        assert recipe.prepare(bench_of(tmp_path)) == 30
        assert recipe.prepare(bench_of(tmp_path, text="another shop to recommend to")) == 30
    assert made == [TrainingConfig()]
    assert json.loads(recipe.note(bench_of(tmp_path)).read_text()) == {"backbone": "c0ffee", "seconds": 30.0}
    others = [
        (Transferred(TrainingConfig(fingerprints=0), AdaptConfig()), bench_of(tmp_path)),
        (recipe, bench_of(tmp_path, source="a jigsaw")),
        (recipe, bench_of(tmp_path, quick=True)),
    ]
    for other, bench in others:
        other.prepare(bench)
    assert len(made) == 4
    assert made[-1].fit.max_epochs == 1


def test_what_all_runs_have_in_common_is_made_before_the_clock_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(quality_clock, "monotonic", lambda: now[0])

    @dataclass(frozen=True)
    class Slow(Recipe):
        def prepare(self, bench: Bench) -> float | None:  # noqa: ARG002
            now[0] += 100
            return 100.0

        def make(self, bench: Bench, seed: int, share: float) -> Scored:  # noqa: ARG002
            now[0] += 7
            return bench.by_popularity(popularity_scorer(bench.split, len(bench.dataset.items)))

    bench = bench_of(tmp_path)
    catalogue = Catalogue.of(bench.split, len(bench.dataset.items), np.eye(4, dtype=np.float16))
    run = command._run(bench, catalogue, System("slow", Slow()), ("test", 3, 1.0), tmp_path / "slow.json")
    assert (run.seconds, run.pretraining_seconds, run.seed) == (7, 100, 3)


def test_what_was_cut_off_and_goes_on_tells_no_seconds(tmp_path: Path) -> None:
    result = tmp_path / "runs" / "some.json"
    with pytest.raises(KeyboardInterrupt), clocked(result):
        raise KeyboardInterrupt
    with clocked(result) as seconds:
        assert seconds() is None
    with clocked(result) as seconds:
        assert seconds() is not None
    assert list(result.parent.iterdir()) == []


def test_the_table_is_printed_and_written_and_a_quick_one_spares_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setting, "RESULTS", tmp_path)
    runs = [some_run(0.1 * seed, split="test", seed=seed, seconds=10.0 * seed) for seed in (1, 2)]
    runs.append(some_run(0.3, split="test", share=0.05, pretraining_seconds=60))
    report_table(runs, True)
    assert json.loads((tmp_path / "quality.json").read_text())["quick"] is True
    report_table(runs, False)
    head, first, second = capsys.readouterr().out.splitlines()[:3]
    assert head.split()[:4] == ["system", "share", "runs", "recall@10"]
    assert first.split()[:4] == ["codes", "1.0000", "2", "0.1500"]
    assert [line.split()[-2:] for line in (first, second)] == [["15", "-"], ["-", "60"]]
    report_table(runs[:1], True)
    full = json.loads((tmp_path / "quality.json").read_text())
    assert [row["runs"] for row in full["table"]] == [2, 1]
    assert full["standard deviations"][0]["recall@10"] == pytest.approx(0.0707, abs=1e-4)
    assert len(json.loads((tmp_path / "quality-quick.json").read_text())["table"]) == 1
    report_table([some_run()], False)
    assert {path.name for path in tmp_path.iterdir()} == {"quality.json", "quality-quick.json", "quality-valid.json"}
