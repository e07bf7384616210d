"""What is said of the lists themselves: whom they expose, and how close they stay to the text of what was there."""

import numpy as np
import numpy.typing as npt

from training.histories import Targets
from training.ranking import Items, histories_of, user_blocks

_SHORTEST = 1e-12


def exposure(top: Items, num_items: int) -> Items:
    """In how many lists each item stands: int64 [num_items], of item indices int64 [users, k]."""
    return np.bincount(top.reshape(-1), minlength=num_items).astype(np.int64)


def coverage(exposed: Items) -> float:
    """The share of the catalogue that stands in anyone's list, of exposure int64 [items]."""
    return float(np.mean(exposed > 0))


def gini(exposed: Items) -> float:
    """How unequally items are exposed: 0 where all stand in as many lists, near 1 where a few stand in all of them.

    The index of Gini over the whole catalogue, as a measure of sales diversity in Fleder and Hosanagar, "Blockbuster
    Culture's Next Rise or Fall", Management Science 55(5), 2009.

    Args:
        exposed: int64 [items], not all zero.
    """
    ascending = np.sort(exposed).astype(np.float64)
    count = len(ascending)
    weights = 2 * np.arange(1, count + 1) - count - 1
    return float((weights * ascending).sum() / (count * ascending.sum()))


def unit_vectors(text_vectors: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Text vectors scaled to length one, float32 [items, text_dim]; one of zeros stays, and is like nothing."""
    vectors = text_vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _SHORTEST), dtype=np.float32)


def similarity_to_last(units: npt.NDArray[np.float32], targets: Targets, shown: Items) -> float:
    """Mean cosine of the text of each user's last item with the texts of the items shown to them.

    Args:
        units: text vectors of length one, float32 [items, text_dim].
        targets: the users, of whom there is at least one.
        shown: int64 [users, k]; the last item itself may be among them, and counts as one.
    """
    total = 0.0
    for users in user_blocks(len(targets)):
        last = np.array([history[-1] for history in histories_of(targets, users)], dtype=np.int64)
        cosines = np.matmul(units[shown[users]], units[last][:, :, None])  # [block, k, 1]
        total += float(cosines.sum(dtype=np.float64))
    return total / shown.size
