"""Fingerprints: indices of an item code that tell the item from its nearest kin.

The other indices of a code are alike for items that are alike, as they must be. But what a shopper has and what is much
like it are two things: the first is seldom wanted next, the second often. An index that has nothing to do with likeness
lets the network tell them apart, and gives a code of its own to an item that would share one.
"""

import numpy as np
import numpy.typing as npt

_FACTORS_SEED = 0x5A17ED
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014


def fingerprints(text_vectors: npt.NDArray[np.float16], count: int, size: int) -> npt.NDArray[np.int64]:
    """Hashes of which components are positive: int64 [n, count], each below ``size``.

    Signs hardly ever differ between machines whose kernels round differently, and texts that differ in a word already
    differ in some of them.

    Args:
        text_vectors: float16 [n, text_dim].
        count: how many indices.
        size: of a codebook, at most 65536.
    """
    signs = np.packbits(text_vectors > 0, axis=1).astype(np.uint64)  # [n, bytes]
    hashes = signs @ _odd_factors(signs.shape[1], count)  # [n, count], modulo 2^64
    hashes = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    return ((hashes >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)).astype(np.int64)


def _odd_factors(length: int, count: int) -> npt.NDArray[np.uint64]:
    """The same for ever, since stored codes depend on them: uint64 [length, count], by splitmix64."""
    places = np.arange(1, length * count + 1, dtype=np.uint64).reshape(count, length)
    mixed = np.uint64(_FACTORS_SEED) + places * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.ascontiguousarray((mixed ^ (mixed >> np.uint64(31))).T | np.uint64(1))
