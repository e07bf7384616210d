"""Mean and deviation over seeds."""

import pytest

from tests.training.evaluation.some_runs import some_run
from training.evaluation.seeds import Spread, summarize


def test_runs_that_differ_in_their_seed_are_one_summary_and_all_others_are_kept_apart() -> None:
    runs = [
        some_run(0.3, seed=2),
        some_run(0.1, system="other"),
        some_run(0.1, seed=0),
        some_run(0.2, seed=1),
        some_run(0.1, share=0.5),
        some_run(0.1, split="test"),
        some_run(0.1, dataset="elsewhere"),
    ]
    summaries = summarize(runs)
    first = summaries[0]
    assert [len(summary.runs) for summary in summaries] == [3, 1, 1, 1, 1]
    assert [summary.system for summary in summaries] == ["codes", "other", "codes", "codes", "codes"]
    assert [run.seed for run in first.runs] == [0, 1, 2]
    assert first.figures["everyone/recall@10"] == Spread(pytest.approx(0.2), pytest.approx(0.1))
    assert first.figures["cold/recall@10"] == Spread(pytest.approx(0.1), pytest.approx(0.05))
    assert first.figures["lists/exposure_gini"] == Spread(pytest.approx(0.2), pytest.approx(0.1))


def test_one_run_has_no_deviation() -> None:
    assert Spread.of([0.25]) == Spread(0.25, None)


def test_the_deviation_is_that_of_a_sample() -> None:
    assert Spread.of([1.0, 3.0]) == Spread(2.0, pytest.approx(2**0.5))


def test_a_figure_that_no_run_has_is_left_out_and_one_that_some_have_is_theirs() -> None:
    (summary,) = summarize([some_run(never_seen=0), some_run(seed=1, never_seen=0, seconds=8)])
    assert "never_seen/recall@10" not in summary.figures
    assert "lists/text_similarity" not in summary.figures
    assert summary.figures["seconds"] == Spread(8, None)
