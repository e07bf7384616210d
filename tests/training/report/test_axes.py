"""Where things lie in a plot."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.axes import Axes, number, ticks


@given(st.floats(1e-9, 1e9))
def test_ticks_are_few_evenly_spaced_and_reach_the_highest_value(highest: float) -> None:
    found = ticks(highest)
    assert 4 <= len(found) <= 8
    assert found[0] == 0
    assert highest <= found[-1] * (1 + 1e-6) <= highest * 2
    steps = [after - before for before, after in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_ticks_are_round_and_there_are_some_where_all_is_zero() -> None:
    assert ticks(0.0731) == [0, 0.02, 0.04, 0.06, 0.08]
    assert ticks(0) == [0, 1]


def test_larger_values_lie_higher_and_categories_from_left_to_right() -> None:
    axes = Axes("R@10", ("a", "b", "c"), 0.2)
    assert axes.y(0) > axes.y(0.1) > axes.y(0.2) > 0
    assert axes.y(0) - axes.y(0.1) == pytest.approx(axes.y(0.1) - axes.y(0.2))
    assert axes.x(1) - axes.x(0) == pytest.approx(axes.x(2) - axes.x(1)) == pytest.approx(axes.step)


def test_coordinates_are_written_shortly() -> None:
    assert [number(value) for value in (3.0, 0.126, 120.0, -0.5)] == ["3", "0.13", "120", "-0.5"]
