"""The files of a report."""

import re
from pathlib import Path

import pytest

from tests.training.evaluation.some_runs import some_run
from training.errors import DataError
from training.evaluation.runs import read_runs
from training.report.files import write_report

RUNS = [some_run(0.1), some_run(0.2, seed=1), some_run(0.1, system="b"), some_run(0.1, share=0.05)]


def test_a_report_is_pages_with_the_plots_they_name_and_the_runs_they_were_made_from(tmp_path: Path) -> None:
    out = tmp_path / "made" / "here"
    page = write_report(RUNS, out)
    assert page == out / "report.html"
    assert sorted(path.name for path in out.iterdir()) == ["plots", "report.html", "report.json", "report.md"]
    linked = re.findall(r"\]\((.*?)\)", (out / "report.md").read_text())
    assert sorted(linked) == sorted(f"plots/{path.name}" for path in (out / "plots").iterdir())
    assert page.read_text().count("<svg") == len(linked) == 4
    assert read_runs(out) == RUNS


def test_the_same_runs_make_the_same_bytes_and_a_report_of_a_report_is_the_same(tmp_path: Path) -> None:
    write_report(RUNS, tmp_path / "a")
    write_report(read_runs(tmp_path / "a"), tmp_path / "b")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_nothing_is_written_of_what_cannot_stand_in_one_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no runs"):
        write_report([], tmp_path / "a")
    with pytest.raises(DataError, match="comes twice"):
        write_report([*RUNS, RUNS[0]], tmp_path / "a")
    assert not (tmp_path / "a").exists()
