"""Measures of the lists, on lists small enough to reckon with a pencil."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.lists import coverage, exposure, gini, similarity_to_last, unit_vectors
from training.histories import Histories, Targets, offsets_of


def test_exposure_counts_lists_and_coverage_the_items_in_any() -> None:
    exposed = exposure(np.array([[0, 2], [2, 4]]), num_items=5)
    assert exposed.tolist() == [1, 0, 2, 0, 1]
    assert coverage(exposed) == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("exposed", "expected"), [([3, 3, 3, 3], 0.0), ([0, 0, 0, 8], 0.75), ([0, 4, 0, 4], 0.5), ([1, 3], 0.25)]
)
def test_gini_of_known_cases(exposed: list[int], expected: float) -> None:
    assert gini(np.array(exposed)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30).filter(any))
def test_gini_is_half_the_mean_difference_of_any_two_items_over_their_mean(exposed: list[int]) -> None:
    counts = np.array(exposed, dtype=np.float64)
    differences = np.abs(counts[:, None] - counts[None, :]).mean()
    assert gini(np.array(exposed)) == pytest.approx(differences / (2 * counts.mean()))


def test_unit_vectors_have_length_one_and_zeros_stay() -> None:
    units = unit_vectors(np.array([[3, 4], [0, 0]], dtype=np.float16))
    assert units.dtype == np.float32
    assert units.tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]


def test_similarity_is_to_the_last_item_of_each_user() -> None:
    units = unit_vectors(np.array([[1, 0], [0, 1], [1, 1], [-1, 0]], dtype=np.float16))
    histories = Histories(("a", "b"), np.array([1, 0, 0, 1], dtype=np.int32), np.array([0, 2, 4]))  # last: 0 and 1
    targets = Targets(histories, np.array([2, 2], dtype=np.int32))
    shown = np.array([[0, 3], [0, 2]])
    assert similarity_to_last(units, targets, shown) == pytest.approx((1 - 1 + 0 + np.sqrt(0.5)) / 4)


def test_similarity_of_more_users_than_fit_a_block_is_that_of_one_at_a_time() -> None:
    rng = np.random.default_rng(0)
    units = unit_vectors(rng.standard_normal((20, 4)).astype(np.float16))
    last = rng.integers(20, size=1100).astype(np.int32)
    targets = Targets(Histories(tuple(map(str, range(1100))), last, offsets_of(np.ones(1100, dtype=np.int64))), last)
    shown = rng.integers(20, size=(1100, 3))
    one_by_one = [units[item] @ units[user] for user, items in zip(last, shown, strict=True) for item in items]
    assert similarity_to_last(units, targets, shown) == pytest.approx(np.mean(one_by_one), abs=1e-6)
