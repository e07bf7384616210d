"""A whole catalogue ranked for each user: the one place that knows what comes first among equal scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.errors import DataError
from training.histories import Targets

_USERS_PER_BLOCK = 512  # bounds what is held at a time to 512 x items scores
_NEVER = 1 << 40  # a rank that no list reaches

Scores = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]
HistoryBlock = Sequence[npt.NDArray[np.int32]]


class Scorer(Protocol):
    """Whatever recommends, as evaluation sees it."""

    def scores(self, histories: HistoryBlock) -> Scores:
        """What each item of the catalogue is worth to each user, the more the higher: float32 [users, items].

        Args:
            histories: item indices int32 [length], oldest first, never empty.
        """
        ...


@dataclass(frozen=True, eq=False)
class TieOrder:
    """The order of items with equal scores: those the user has not had, then the more popular, then the smaller id.

    Args:
        places: int64 [items], an item's place by popularity, then item id.
    """

    places: Items

    @classmethod
    def by_popularity(cls, popularity: Items) -> "TieOrder":
        """Of interactions that the recommender was trained with, int64 [items], items in the order of their ids."""
        places = np.empty(len(popularity), dtype=np.int64)
        places[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity))
        return cls(places)

    def ranks(self, scores: Scores, histories: HistoryBlock, targets: npt.NDArray[np.int32]) -> Items:
        """The rank, from 0, of each user's target among all items: int64 [users].

        Args:
            scores: float32 [users, items].
            histories: what each user had.
            targets: int32 [users].

        Raises:
            DataError: if a score is not a number. It would compare as no better than any target.
        """
        _refuse_not_a_number(scores)
        had, users = self._had(histories), np.arange(len(scores))
        wanted = scores[users, targets][:, None]  # [users, 1]
        ranks = np.count_nonzero(scores > wanted, axis=1)
        rows, items = np.nonzero(scores == wanted)
        before = self._places(had, rows, items) < self._places(had, users, targets)[rows]
        return np.asarray(ranks + np.bincount(rows[before], minlength=len(scores)), dtype=np.int64)

    def ranks_of_new(self, scores: Scores, histories: HistoryBlock, targets: npt.NDArray[np.int32]) -> Items:
        """:meth:`ranks` among the items that each user has not had; a target that they had is never found."""
        _refuse_not_a_number(scores)
        had = self._had(histories)
        ranks = self.ranks(np.where(had, np.float32(-np.inf), scores), histories, targets)
        return np.where(had[np.arange(len(scores)), targets], _NEVER, ranks)

    def top(self, scores: Scores, histories: HistoryBlock, k: int) -> Items:
        """Each user's first ``k`` items, or all where there are fewer, best first: int64 [users, k].

        Args:
            scores: float32 [users, items].
            histories: what each user had.
            k: at least 1.

        Raises:
            DataError: if a score is not a number.
        """
        _refuse_not_a_number(scores)
        k = min(k, scores.shape[1])
        least = np.partition(scores, -k, axis=1)[:, -k, None]  # [users, 1]
        rows, items = np.nonzero(scores >= least)  # k a user, and what ties with the last of them
        places = self._places(self._had(histories), rows, items)
        best_first = np.lexsort((places, -scores[rows, items], rows))
        starts = np.searchsorted(rows, np.arange(len(scores)))  # [users]; sorting leaves each user's part in its place
        return np.asarray(items[best_first][starts[:, None] + np.arange(k)], dtype=np.int64)

    def _had(self, histories: HistoryBlock) -> npt.NDArray[np.bool_]:
        had = np.zeros((len(histories), len(self.places)), dtype=np.bool_)
        rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        had[rows, np.concatenate(histories)] = True
        return had

    def _places(self, had: npt.NDArray[np.bool_], rows: Items, items: npt.NDArray[np.integer]) -> Items:
        return np.asarray(self.places[items] + len(self.places) * had[rows, items])


@dataclass(frozen=True, eq=False)
class Ranked:
    """A catalogue ranked for users.

    Args:
        ranks: int64 [users], that of the target, from 0.
        top: int64 [users, k], the first items, best first.
    """

    ranks: Items
    top: Items


def rank_catalogue(scorer: Scorer, targets: Targets, ties: TieOrder, k: int) -> Ranked:
    """Rank the catalogue for every user of ``targets``, of which there is at least one.

    Raises:
        DataError: if the scores are not of this catalogue, or one is not a number.
    """
    ranked = [
        Ranked(ties.ranks(scores, histories, targets.items[users]), ties.top(scores, histories, k))
        for users, histories, scores in _scored(scorer, targets, len(ties.places))
    ]
    return Ranked(np.concatenate([part.ranks for part in ranked]), np.concatenate([part.top for part in ranked]))


def target_ranks(scorer: Scorer, targets: Targets, ties: TieOrder) -> Items:
    """:func:`rank_catalogue` without the first items: int64 [users]."""
    scored = _scored(scorer, targets, len(ties.places))
    return np.concatenate([ties.ranks(scores, histories, targets.items[users]) for users, histories, scores in scored])


def user_blocks(count: int) -> Iterator[slice]:
    """``count`` users, as many at a time as are ranked together."""
    return (slice(start, min(start + _USERS_PER_BLOCK, count)) for start in range(0, count, _USERS_PER_BLOCK))


def histories_of(targets: Targets, users: slice) -> list[npt.NDArray[np.int32]]:
    """What these users had: int32 [length] each."""
    return [targets.histories[user] for user in range(users.start, users.stop)]


def _scored(
    scorer: Scorer, targets: Targets, num_items: int
) -> Iterator[tuple[slice, list[npt.NDArray[np.int32]], Scores]]:
    for users in user_blocks(len(targets)):
        histories = histories_of(targets, users)
        scores = scorer.scores(histories)
        if scores.shape != (len(histories), num_items):
            raise DataError(f"scores are {list(scores.shape)} for {len(histories)} users of {num_items} items")
        yield users, histories, scores


def _refuse_not_a_number(scores: Scores) -> None:
    if np.isnan(scores).any():
        raise DataError("a score is not a number: did training diverge? A smaller learning rate may help")
