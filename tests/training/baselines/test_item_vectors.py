"""The vectors of a catalogue: scores are inner products, and equal vectors tie."""

import numpy as np
import pytest

from training.baselines.item_vectors import ItemVectors, of_length_one


def test_scores_are_inner_products_in_the_order_of_the_items() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 7), dtype=np.float32)
    users = rng.standard_normal((5, 7), dtype=np.float32)
    items = ItemVectors.of(vectors)
    np.testing.assert_allclose(items.scores(users), users @ vectors.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(items[np.array([3, 3, 39])], vectors[[3, 3, 39]])


@pytest.mark.parametrize("users", [1, 3, 64])
def test_items_with_equal_vectors_tie_to_the_last_bit(users: int) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((101, 33), dtype=np.float32)
    vectors[100] = vectors[50] = vectors[0]
    scores = ItemVectors.of(vectors).scores(rng.standard_normal((users, 33), dtype=np.float32))
    assert (scores[:, 0] == scores[:, 50]).all()
    assert (scores[:, 0] == scores[:, 100]).all()
    assert len(np.unique(scores[0])) == 99


def test_vectors_get_length_one_and_zeros_stay_zeros() -> None:
    vectors = of_length_one(np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert vectors.dtype == np.float32
