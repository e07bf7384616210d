"""A share of a shop's users, as if the shop had no others yet."""

import numpy as np
import numpy.typing as npt

from training.errors import DataError
from training.histories import Split, Targets
from training.progress import say


def share_of_users(split: Split, share: float, seed: int) -> Split:
    """Only the users that ``seed`` draws: their training histories, and their validation targets.

    Nothing of another user is left to learn from: training, early stopping and popularity see the drawn users alone.
    A smaller share of the same seed holds a part of the users of a larger one. The test targets remain those of all
    users, so that every share is evaluated on the same.

    Args:
        split: of all users.
        share: above 0, at most 1; at least one user is drawn.
        seed: decides who.

    Raises:
        DataError: if the share is out of range, or none of the users drawn has what training and validation need.
    """
    if not 0 < share <= 1:
        raise DataError(f"the share of users must be above 0 and at most 1, not {share:g}")
    if share == 1:
        return split
    users = len(split.train)
    drawn = np.zeros(users, dtype=np.bool_)
    drawn[np.random.default_rng(seed).permutation(users)[: max(1, round(share * users))]] = True
    train = split.train.of_users(drawn)
    valid = _of_users(split.valid, np.isin(split.valid.histories.user_ids, train.user_ids))
    if len(valid) == 0 or not (train.lengths > 1).any():
        raise DataError(
            f"none of the {drawn.sum()} users drawn has the four interactions that training and validation need: "
            "take a larger share, or adapt zero-shot"
        )
    say(f"learning from {drawn.sum()} of {users} users, validated on {len(valid)} of them")
    return Split(train, valid, split.test)


def _of_users(targets: Targets, chosen: npt.NDArray[np.bool_]) -> Targets:
    return Targets(targets.histories.of_users(chosen), targets.items[chosen])
