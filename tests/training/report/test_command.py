"""``vqrec report`` on models that need no training."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.adapter import write_adapter
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store
from tests.training.evaluation.some_runs import some_run
from training.dataset import load_dataset
from training.errors import DataError
from training.evaluate import evaluate
from training.evaluation.runs import read_runs, write_runs
from training.report.command import NamedAdapter, ReportConfig, evaluate_systems, report

ITEMS, USERS = 30, 25


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Random histories of three to nine items, as `vqrec prepare` writes them."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "small-shop"
    folder.mkdir()
    names = [f"i{n:02d}" for n in range(ITEMS)]
    pl.DataFrame({"item_id": names, "text": [f"text of {n * 101}" for n in range(ITEMS)]}).write_parquet(
        folder / "items.parquet"
    )
    users = [f"u{user:02d}" for user in range(USERS) for _ in range(int(rng.integers(3, 10)))]
    pl.DataFrame(
        {
            "user_id": users,
            "item_id": [names[item] for item in rng.integers(ITEMS, size=len(users))],
            "timestamp": list(range(len(users))),
        }
    ).write_parquet(folder / "interactions.parquet")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "store")


def test_adapters_are_evaluated_as_evaluate_does_under_domain_and_version_or_a_name(
    data: Path, tiny: TinyStore
) -> None:
    other = write_tiny_adapter(tiny, seed=1)
    adapters = (NamedAdapter(tiny.adapter.path), NamedAdapter(other.path, "mine"))
    runs = evaluate_systems(ReportConfig(data, adapters))
    assert [run.system for run in runs] == [f"shop {tiny.adapter.version}", "mine"]
    assert {(run.dataset, run.split, run.items, run.seed) for run in runs} == {("small-shop", "test", ITEMS, None)}
    for run, adapter in zip(runs, (tiny.adapter, other), strict=True):
        assert run.quality.everyone.users == USERS
        assert run.quality.everyone.metrics == pytest.approx(evaluate(load_dataset(data), adapter.path).test)
        assert run.quality.lists.text_similarity is not None


def test_validation_targets_on_request(data: Path, tiny: TinyStore) -> None:
    (run,) = evaluate_systems(ReportConfig(data, (NamedAdapter(tiny.adapter.path),), split="valid"))
    assert run.split == "valid"
    assert run.quality.everyone.metrics == pytest.approx(evaluate(load_dataset(data), tiny.adapter.path).valid)


def test_baselines_stand_beside_the_adapters(data: Path, tiny: TinyStore) -> None:
    runs = evaluate_systems(ReportConfig(data, (NamedAdapter(tiny.adapter.path, "codes"),), baselines=True))
    assert [run.system for run in runs] == ["popularity", "nearest text", "codes"]
    popularity, nearest, codes = (run.quality.lists for run in runs)
    assert popularity.popularity > max(nearest.popularity, codes.popularity)
    assert nearest.text_similarity is not None
    assert popularity.text_similarity is not None
    assert nearest.text_similarity > popularity.text_similarity


def test_what_is_evaluated_is_reported_beside_what_was_collected(data: Path, tiny: TinyStore, tmp_path: Path) -> None:
    config = ReportConfig(data, (NamedAdapter(tiny.adapter.path, "codes"),))
    (run,) = evaluate_systems(config)
    seeds = [run.model_copy(update={"system": "before", "seed": seed}) for seed in (0, 1)]
    write_runs(tmp_path / "results" / "before.json", seeds)
    page = report(config, tmp_path / "results", tmp_path / "both")
    assert page.is_file()
    assert read_runs(tmp_path / "both") == [*seeds, run]
    report(None, tmp_path / "results", tmp_path / "one")
    assert read_runs(tmp_path / "one") == seeds


def test_adapters_of_one_name_are_runs_of_one_system_told_apart_by_the_seed_they_were_made_with(
    data: Path, tiny: TinyStore, tmp_path: Path
) -> None:
    adapter, manifest = tiny.load_adapter(), tiny.adapter.manifest
    folder = tiny.store.adapters(tiny.domain)
    seeded = [
        write_adapter(
            folder,
            manifest.model_copy(update={"made_with": {"fit": {"seed": seed}}}),
            adapter.quantizer,
            adapter.table,
            {},
        )
        for seed in (3, 4)
    ]
    config = ReportConfig(data, tuple(NamedAdapter(bundle.path, "codes") for bundle in seeded))
    assert [(run.system, run.seed) for run in evaluate_systems(config)] == [("codes", 3), ("codes", 4)]
    report(config, None, tmp_path / "out")
    assert "| codes | 2 |" in (tmp_path / "out" / "report.md").read_text()


def test_the_share_of_users_that_an_adapter_learned_from_is_what_it_says_of_itself(data: Path, tiny: TinyStore) -> None:
    adapter, manifest = tiny.load_adapter(), tiny.adapter.manifest
    named = []
    for made_with in ({"zero_shot": True}, {"share": 0.05}, {"share": 1.0}):
        told = manifest.model_copy(update={"made_with": made_with})
        folder = tiny.store.adapters(tiny.domain)
        written = write_adapter(folder, told, adapter.quantizer, adapter.table, adapter.popularity)
        named.append(NamedAdapter(written.path, "codes"))
    assert [run.share for run in evaluate_systems(ReportConfig(data, tuple(named)))] == [0, 0.05, 1]


def test_a_report_does_not_go_among_the_results_that_it_is_made_from(tmp_path: Path) -> None:
    write_runs(tmp_path / "results" / "a.json", [some_run()])
    with pytest.raises(DataError, match="holds the results"):
        report(None, tmp_path / "results", tmp_path / "results")


def test_nothing_to_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no runs"):
        report(None, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_is_what_stands_before_a_path_and_a_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    plain, odd = tmp_path / "adapter", tmp_path / "a=b"
    plain.mkdir()
    odd.mkdir()
    assert NamedAdapter.parse(str(plain)) == NamedAdapter(plain)
    assert NamedAdapter.parse(f"tied rows={plain}") == NamedAdapter(plain, "tied rows")
    assert NamedAdapter.parse(str(odd)) == NamedAdapter(odd)
    assert NamedAdapter.parse(f"x={odd}") == NamedAdapter(odd, "x")
    for missing in ("nowhere", "x=nowhere", "=nowhere"):
        with pytest.raises(DataError, match="no adapter at"):
            NamedAdapter.parse(missing)
    with pytest.raises(DataError, match="cannot stand in a table"):
        NamedAdapter.parse(f"two\nlines={plain}")
