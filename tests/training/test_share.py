"""A share of a shop's users."""

import numpy as np
import pytest

from training.errors import DataError
from training.histories import Histories, offsets_of, split_leave_one_out
from training.share import share_of_users

LENGTHS = np.array([6] * 30 + [1] * 10)


@pytest.fixture
def histories() -> Histories:
    rng = np.random.default_rng(0)
    users = tuple(f"u{number:02}" for number in range(len(LENGTHS)))
    return Histories(users, rng.integers(50, size=LENGTHS.sum()).astype(np.int32), offsets_of(LENGTHS))


def test_those_drawn_keep_their_histories_and_the_others_leave_nothing_behind(
    histories: Histories, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = split_leave_one_out(histories)
    share = share_of_users(whole, 0.25, seed=0)
    assert capsys.readouterr().err == f"learning from 10 of 40 users, validated on {len(share.valid)} of them\n"
    assert len(share.train) == 10
    for user_id, history in zip(share.train.user_ids, share.train, strict=True):
        np.testing.assert_array_equal(history, whole.train[whole.train.user_ids.index(user_id)])
    assert set(share.valid.histories.user_ids) == {
        u for u in share.train.user_ids if u in whole.valid.histories.user_ids
    }
    for user_id, target in zip(share.valid.histories.user_ids, share.valid.items, strict=True):
        assert target == whole.valid.items[whole.valid.histories.user_ids.index(user_id)]


def test_the_test_targets_stay_those_of_all_users(histories: Histories) -> None:
    whole = split_leave_one_out(histories)
    assert share_of_users(whole, 0.25, seed=0).test is whole.test


def test_a_smaller_share_is_a_part_of_a_larger_one_and_the_seed_draws(histories: Histories) -> None:
    whole = split_leave_one_out(histories)

    def drawn(share: float, seed: int) -> set[str]:
        return set(share_of_users(whole, share, seed).train.user_ids)

    assert drawn(0.2, 0) < drawn(0.5, 0) < drawn(1.0, 0) == set(whole.train.user_ids)
    assert drawn(0.2, 0) == drawn(0.2, 0) != drawn(0.2, 1)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(histories: Histories, share: float) -> None:
    with pytest.raises(DataError, match="above 0 and at most 1"):
        share_of_users(split_leave_one_out(histories), share, seed=0)


def test_users_with_too_little_to_train_on_are_an_error_that_says_what_to_do() -> None:
    lengths = np.array([1] * 99 + [6])
    items = np.arange(lengths.sum(), dtype=np.int32)
    split = split_leave_one_out(Histories(tuple(f"{n:03}" for n in range(100)), items, offsets_of(lengths)))
    with pytest.raises(DataError, match="larger share"):
        share_of_users(split, 0.01, seed=0)
