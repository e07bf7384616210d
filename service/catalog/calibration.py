"""Users to make and tune an index for: what a network makes of histories that a shopper of a catalogue could have."""

from itertools import islice

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.codes import Codes
from models.user_network import UserNetwork
from service.catalog.columns import Columns
from service.catalog.segment import UserVectors

_MEAN_LENGTH = 8
_MOST_INTERESTS = 3
_POPULAR, _BY_CHANCE = 512, 1536  # items that histories are drawn from
_ALIKE = 96  # items that make an interest
_BATCH = 16  # histories that the network computes at a time, beside those that are served

Numbers = npt.NDArray[np.int64]


def likely_users(adapter: DomainAdapter, network: UserNetwork, columns: Columns, count: int, seed: int) -> UserVectors:
    """User vectors float32 [count, width] of made-up histories; none of a catalogue without items.

    A history has a few interests, each some of the items nearest to one, popular or not: items drawn from all over a
    catalogue would make users in the middle of everything, as no shopper is.
    """
    rng = np.random.default_rng(seed)
    if not len(columns):
        return np.zeros((0, adapter.table.width), dtype=np.float32)
    slots, num_popular = _sample(adapter, columns, rng)
    centres = _centres(count * _MOST_INTERESTS, len(slots), num_popular, rng)
    alike = slots[_nearest(adapter, columns.codes[slots], centres)].reshape(count, _MOST_INTERESTS, -1)
    # The network computes those of about the same length together.
    users = sorted((_history(interests, network.max_history, rng) for interests in alike), key=len)
    histories = [adapter.table.raw(columns.codes[history]) for history in users]  # float32 [time, width] each
    return np.concatenate(
        [network.user_vectors(histories[start : start + _BATCH]) for start in range(0, count, _BATCH)]
    )


def _sample(adapter: DomainAdapter, columns: Columns, rng: np.random.Generator) -> tuple[Numbers, int]:
    """Slots of popular items and then of others, and how many popular ones there are."""
    popular = columns.ids.find(list(islice(adapter.popularity, _POPULAR))).astype(np.int64)
    popular = popular[popular >= 0]
    others = rng.choice(len(columns), min(len(columns), _BY_CHANCE), replace=False, shuffle=False)
    return np.concatenate([popular, others]), len(popular)


def _centres(count: int, size: int, num_popular: int, rng: np.random.Generator) -> Numbers:
    """Places in a sample of ``size``, half of them among the popular: int64 [count]."""
    by_popularity = (num_popular * rng.random(count) ** 2).astype(np.int64)  # of the most popular the most
    return np.where(rng.random(count) * 2 < (num_popular > 0), by_popularity, rng.integers(0, size, count))


def _nearest(adapter: DomainAdapter, codes: Codes, centres: Numbers) -> Numbers:
    """For each centre the places of those most like it among a sample, in no order: int64 [c, at most _ALIKE]."""
    vectors = adapter.table.normalized(codes)
    count = min(_ALIKE, len(vectors))
    return np.argpartition(-(vectors[centres] @ vectors.T), count - 1, axis=1)[:, :count]


def _history(interests: Numbers, longest: int, rng: np.random.Generator) -> Numbers:
    """The slots of a history, one interest after the other: int64 [time]."""
    length = min(longest, int(rng.geometric(1 / _MEAN_LENGTH)))
    number = rng.integers(1, len(interests) + 1)
    chosen = np.sort(rng.integers(0, number, length))
    return interests[chosen, rng.integers(0, interests.shape[1], length)]
