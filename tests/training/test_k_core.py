"""The k-core, by what defines it."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.k_core import k_core

LOGS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=80)
BOUNDS = st.integers(1, 4)


def kept_of(log: list[tuple[int, int]], min_user: int, min_item: int) -> list[tuple[int, int]]:
    users, items = (np.array([pair[place] for pair in log], dtype=np.int64) for place in (0, 1))
    mask = k_core(users, items, min_user, min_item)
    return [pair for pair, stays in zip(log, mask, strict=True) if stays]


@given(LOGS, BOUNDS, BOUNDS)
def test_whoever_is_left_has_enough(log: list[tuple[int, int]], min_user: int, min_item: int) -> None:
    kept = kept_of(log, min_user, min_item)
    assert all(count >= min_user for count in Counter(user for user, _ in kept).values())
    assert all(count >= min_item for count in Counter(item for _, item in kept).values())


@given(LOGS, BOUNDS, BOUNDS)
def test_it_is_the_largest_such_set_as_removing_one_by_one_finds_it(
    log: list[tuple[int, int]], min_user: int, min_item: int
) -> None:
    rest = log
    while True:
        users, items = Counter(user for user, _ in rest), Counter(item for _, item in rest)
        bad = next((pair for pair in rest if users[pair[0]] < min_user or items[pair[1]] < min_item), None)
        if bad is None:
            break
        rest = [pair for pair in rest if pair != bad]
    assert kept_of(log, min_user, min_item) == rest


@given(LOGS)
def test_one_filters_nothing(log: list[tuple[int, int]]) -> None:
    assert kept_of(log, 1, 1) == log
