"""The assignment of rows to columns."""

from itertools import permutations

import numpy as np
import pytest

from models.networks.assignment import best_assignment


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 3), (4, 6), (6, 6)])
@pytest.mark.parametrize("whole_numbers", [False, True], ids=["distinct", "many equal"])
def test_no_other_assignment_has_a_larger_sum(rows: int, columns: int, whole_numbers: bool) -> None:
    rng = np.random.default_rng(rows * 10 + columns)
    for _ in range(20):
        scores = rng.standard_normal((rows, columns))
        if whole_numbers:
            scores = np.round(2 * scores)
        found = best_assignment(scores)
        assert len(set(found.tolist())) == rows
        best = max(scores[np.arange(rows), list(chosen)].sum() for chosen in permutations(range(columns), rows))
        assert scores[np.arange(rows), found].sum() == pytest.approx(best, abs=1e-9)


def test_a_shuffled_identity_is_found_among_noise() -> None:
    rng = np.random.default_rng(0)
    shuffle = rng.permutation(200)
    scores = rng.uniform(0, 0.9, (200, 200)).astype(np.float32)
    scores[np.arange(200), shuffle] = 1.0
    np.testing.assert_array_equal(best_assignment(scores), shuffle)


def test_where_all_is_equal_each_row_still_gets_a_column_of_its_own() -> None:
    assert sorted(best_assignment(np.zeros((50, 50)))) == list(range(50))


@pytest.mark.parametrize("scores", [np.zeros((3, 2)), np.full((2, 2), np.nan), np.full((2, 2), -np.inf), np.zeros(3)])
def test_what_has_no_assignment_is_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"cannot give|not finite"):
        best_assignment(scores)
