"""Runs on disk, and which of them may stand together."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.evaluation.some_runs import some_run
from training.errors import DataError
from training.evaluation.runs import check_runs, read_runs, write_runs


def test_runs_collected_one_by_one_are_read_back_as_they_were(tmp_path: Path) -> None:
    runs = [some_run(0.1), some_run(0.2, seed=1, share=0.05, seconds=12.5), some_run(0.3, seed=None, never_seen=0)]
    folder = tmp_path / "made" / "here"
    write_runs(folder / "b.json", runs[1:])
    write_runs(folder / "a.json", runs[:1])
    (folder / "notes.txt").write_text("not a result")
    assert read_runs(folder) == runs


def test_seconds_of_pre_training_are_kept_and_files_from_before_there_were_any_are_read(tmp_path: Path) -> None:
    run = some_run(pretraining_seconds=600.5)
    write_runs(tmp_path / "a.json", [run])
    assert read_runs(tmp_path) == [run]
    document = json.loads((tmp_path / "a.json").read_text())
    del document["runs"][0]["pretraining_seconds"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert read_runs(tmp_path) == [some_run()]


def test_a_run_written_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write_runs(tmp_path / "a.json", [some_run(0.1), some_run(0.1, seed=1)])
    write_runs(tmp_path / "a.json", [some_run(0.2)])
    assert read_runs(tmp_path) == [some_run(0.2)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no results"):
        read_runs(tmp_path)


def _changed(document: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("surplus",), 1),
        (("format_version",), 2),
        (("runs", 0, "surplus"), 1),
        (("runs", 0, "split"), "train"),
        (("runs", 0, "system"), ""),
        (("runs", 0, "system"), "two\nlines"),
        (("runs", 0, "share"), 1.5),
        (("runs", 0, "quality", "everyone", "users"), -1),
        (("runs", 0, "quality", "everyone", "metrics", "recall@10"), float("nan")),
        (("runs", 0, "quality", "everyone", "metrics", "recall@11"), 0.5),
        (("runs", 0, "quality", "lists", "coverage"), None),
    ],
)
def test_what_is_not_a_result_is_refused_by_name(tmp_path: Path, path: tuple[str | int, ...], value: object) -> None:
    write_runs(tmp_path / "a.json", [some_run()])
    document = _changed(json.loads((tmp_path / "a.json").read_text()), *path, value=value)
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"a\.json is not a file of results"):
        read_runs(tmp_path)


def test_what_is_not_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"a\.json is not a file of results: the document"):
        read_runs(tmp_path)


def test_a_run_that_comes_twice_is_refused_and_other_seeds_shares_and_splits_are_other_runs() -> None:
    runs = [some_run(), some_run(seed=1), some_run(seed=None), some_run(share=0.2), some_run(split="test")]
    check_runs(runs)
    with pytest.raises(DataError, match=r"'codes' on shop .* twice with the seed 1"):
        check_runs([*runs, some_run(0.3, seed=1)])


@pytest.mark.parametrize("other", [some_run(system="other", users=101), some_run(system="other", items=501)])
def test_systems_that_were_not_evaluated_on_the_same_data_are_refused(other: Any) -> None:
    check_runs([some_run(), other.model_copy(update={"dataset": "another"})])
    with pytest.raises(DataError, match="not the same data"):
        check_runs([some_run(), other])
