"""Which users are asked for items that nobody bought, and how those are ranked."""

import numpy as np

from benchmarks.cold_start import _rank, _targets_among
from training.dataset import Dataset, Items
from training.histories import Histories


def _dataset(*histories: list[int]) -> Dataset:
    items = Items(("a", "b", "c", "d", "e"), ["text"] * 5, [{}] * 5)
    offsets = np.cumsum([0, *map(len, histories)], dtype=np.int64)
    users = tuple(f"user {number}" for number in range(len(histories)))
    return Dataset(items, Histories(users, np.concatenate(histories).astype(np.int32), offsets))


def test_users_who_have_the_target_already_are_asked_for_by_no_ranking() -> None:
    dataset = _dataset([0, 1, 2, 4], [4, 0, 1, 4], [0, 3, 1, 4], [0, 1, 2, 3], [0, 4, 1, 2])
    targets = _targets_among(dataset, np.array([3, 4]))
    assert targets.histories.user_ids == ("user 0", "user 2", "user 3")
    assert targets.items.tolist() == [4, 4, 3]
    assert targets.histories[1].tolist() == [0, 3, 1]


def test_what_a_user_has_is_ranked_behind_all_else_and_equal_scores_by_item_id() -> None:
    targets = _targets_among(_dataset([0, 1, 2, 4], [0, 1, 2, 3]), np.array([3, 4]))
    scores = np.array([[9, 9, 9, 1, 1], [9, 9, 9, 1, 1]], dtype=np.float32)
    assert _rank(scores, targets).tolist() == [1, 0]
