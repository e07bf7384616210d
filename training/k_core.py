"""The k-core of a log: what is left when rare users and rare items go, and those that became rare by it, and so on."""

import numpy as np
import numpy.typing as npt


def k_core(
    users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], min_user: int, min_item: int
) -> npt.NDArray[np.bool_]:
    """Which interactions stay: bool [n].

    It is the largest set in which each user has at least ``min_user`` interactions and each item ``min_item``.

    Args:
        users: int64 [n], numbers from 0.
        items: int64 [n], numbers from 0.
        min_user: 1 filters nothing.
        min_item: 1 filters nothing.
    """
    kept = np.arange(len(users))
    while len(kept):
        enough_user = np.bincount(users[kept]) >= min_user
        enough_item = np.bincount(items[kept]) >= min_item
        stays = enough_user[users[kept]] & enough_item[items[kept]]
        if stays.all():
            break
        kept = kept[stays]
    mask = np.zeros(len(users), dtype=np.bool_)
    mask[kept] = True
    return mask
