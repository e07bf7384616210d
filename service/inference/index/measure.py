"""How much an approximate index must search for the recall that is promised."""

import numpy as np
import numpy.typing as npt

from service.inference.index.kernels import set_order
from service.inference.index.lists import Lists
from service.inference.index.protocol import Scores, Slots

MEASURED_AT = 50  # recall is the share of so many best items that a search finds
_WANTED = 0.99  # above the 0.98 that is promised, since users are made up from the catalogue and real ones differ
_MOST_SCORES = 1 << 28  # items × users that are scored for the truth, so that it takes a second and not a minute
_FEWEST_USERS, _MOST_USERS = 64, 256


def calibration_sample(user_vectors: Scores, num_items: int) -> Scores:
    """Users from all over, since they may come in some order; fewer where there are many items."""
    most = int(np.clip(_MOST_SCORES // max(1, num_items), _FEWEST_USERS, _MOST_USERS))
    return user_vectors[:: max(1, -(-len(user_vectors) // most))]


def items_before(lists: Lists, user_vectors: Scores, truth: Slots) -> npt.NDArray[np.int64]:
    """For each true item, how many items lie in lists that are searched before its own.

    Args:
        lists: the partition.
        user_vectors: float32 [q, width].
        truth: the best slots of each user, int64 [q, k], -1 for none.

    Returns:
        int64 [at most q * k].
    """
    return _before(lists, np.diff(lists.starts), user_vectors, truth)


def lists_before(lists: Lists, user_vectors: Scores, truth: Slots) -> npt.NDArray[np.int64]:
    """For each true item, how many lists are searched before its own; see :func:`items_before`."""
    return _before(lists, np.ones(len(lists), dtype=np.int64), user_vectors, truth)


def reach(before: npt.NDArray[np.int64]) -> tuple[int, float]:
    """How many items or lists find the wanted share of the true items, and the share that they find."""
    if not len(before):
        return 1, 1.0
    needed = int(np.quantile(before, _WANTED, method="higher")) + 1
    return needed, float(np.mean(before < needed))


def _before(lists: Lists, sizes: npt.NDArray[np.int64], user_vectors: Scores, truth: Slots) -> npt.NDArray[np.int64]:
    order = np.empty(len(lists), dtype=np.int64)
    before = np.empty(len(lists), dtype=np.int64)
    found = []
    for promise, slots in zip(lists.promise(user_vectors), truth, strict=True):
        set_order(promise, order)
        before[order] = np.cumsum(sizes[order]) - sizes[order]
        found.append(before[np.searchsorted(lists.starts, slots[slots >= 0], side="right") - 1])
    return np.concatenate(found)
