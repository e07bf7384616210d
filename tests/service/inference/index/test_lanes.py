"""Inner products whose last bit depends on nothing but the two vectors."""

import numpy as np
import pytest

from service.inference.index.lanes import LANES
from service.inference.index.scoring import fill, padded


@pytest.mark.parametrize("width", [1, 15, 16, 17, 300])
@pytest.mark.parametrize("rows", [1, 7, 8, 50])
def test_a_product_is_the_same_in_any_batch_and_at_any_row(rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((rows, width)).astype(np.float32)
    users = rng.standard_normal((9, width)).astype(np.float32)
    together = np.empty((9, rows), dtype=np.float32)
    fill(table, padded(users), together)
    np.testing.assert_allclose(together, users.astype(np.float64) @ table.T, atol=1e-4)
    for size in (1, 4, 5):
        some = np.empty((size, rows), dtype=np.float32)
        fill(table, padded(users[:size]), some)
        np.testing.assert_array_equal(some, together[:size])
    backwards = np.empty((9, rows), dtype=np.float32)
    fill(np.ascontiguousarray(table[::-1]), padded(users), backwards)
    np.testing.assert_array_equal(backwards[:, ::-1], together)


def test_padding_adds_zeros_alone() -> None:
    users = np.ones((2, LANES + 1), dtype=np.float32)
    assert padded(users).sum(axis=1).tolist() == [LANES + 1] * 2
    assert padded(users).shape == (2, 2 * LANES)
