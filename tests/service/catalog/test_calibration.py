from dataclasses import replace

import numpy as np
import pytest

from service.catalog.calibration import likely_users
from service.catalog.columns import Columns
from service.catalog.item import CatalogueItem
from tests.tiny_models import LAYOUT, WIDTH, TinyStore


def columns_of(count: int) -> Columns:
    codes = np.random.default_rng(0).integers(0, LAYOUT.codebook_size, (count, LAYOUT.num_codebooks))
    items = [CatalogueItem(f"i{number}", code.astype(LAYOUT.dtype)) for number, code in enumerate(codes)]
    return Columns.of(items, LAYOUT)


@pytest.mark.parametrize("popularity", [{}, {"i0": 3}, {f"i{number}": number for number in range(300)}])
@pytest.mark.parametrize("count", [1, 300])
def test_users_are_of_length_one_and_the_same_for_the_same_seed(
    tiny: TinyStore, count: int, popularity: dict[str, int]
) -> None:
    adapter, network = replace(tiny.load_adapter(), popularity=popularity), tiny.load_network()
    users = likely_users(adapter, network, columns_of(count), 40, seed=3)
    assert users.shape == (40, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(users, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(users, likely_users(adapter, network, columns_of(count), 40, seed=3))
    if count > 1:
        assert len(np.unique(users, axis=0)) > len(users) / 2


def test_a_catalogue_without_items_has_no_users(tiny: TinyStore) -> None:
    assert likely_users(tiny.load_adapter(), tiny.load_network(), columns_of(0), 40, seed=3).shape == (0, WIDTH)
