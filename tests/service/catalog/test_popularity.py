import numpy as np
import pytest

from service.catalog.ids import Ids
from service.catalog.popularity import popular_order, popularity_of


@pytest.mark.parametrize("count", [0, 10, 5000])  # few are looked up one by one
@pytest.mark.parametrize("known", [0, 3, 20_000])
def test_each_item_has_its_count_and_others_none(count: int, known: int) -> None:
    names = [f"item {number}" for number in range(count)]
    counts = {f"item {number}": number + 1 for number in range(7, 7 + known)}
    assert popularity_of(Ids.of(names), counts).tolist() == [counts.get(name, 0) for name in names]


def test_the_most_popular_come_first_and_equals_in_the_given_order() -> None:
    popularity = np.array([1, 5, 0, 5, 1], dtype=np.float32)
    assert popular_order(popularity, np.array([4, 3, 2, 1, 0])).tolist() == [3, 1, 4, 0, 2]
