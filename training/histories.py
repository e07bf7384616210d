"""What users did, in order of time, and the split that training and evaluation share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.errors import DataError


@dataclass(frozen=True, eq=False)
class Histories:
    """Each user's items in order of time, one after another (CSR).

    Args:
        user_ids: sorted.
        items: int32 [n], positions in the data set's ``item_ids``.
        offsets: int64 [users + 1]; user ``u`` did ``items[offsets[u]:offsets[u + 1]]``.

    Raises:
        DataError: if the three do not fit each other.
    """

    user_ids: tuple[str, ...]
    items: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        fits = len(self.offsets) == len(self.user_ids) + 1 and self.offsets[0] == 0
        if not fits or self.offsets[-1] != len(self.items) or (np.diff(self.offsets) < 0).any():
            raise DataError(
                f"offsets [{len(self.offsets)}] do not cut {len(self.items)} items into {len(self.user_ids)} histories"
            )

    def __len__(self) -> int:
        """The number of users."""
        return len(self.user_ids)

    def __getitem__(self, user: int) -> npt.NDArray[np.int32]:
        """One user's items, oldest first: int32 [length], a view."""
        if not 0 <= user < len(self):
            raise IndexError(user)
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return (self[user] for user in range(len(self)))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [users]"""
        return np.diff(self.offsets)

    @property
    def users(self) -> npt.NDArray[np.int64]:
        """Whose each interaction is: int64 [n], aligned with ``items``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def recent_blocks(self, size: int, longest: int) -> Iterator[list[npt.NDArray[np.int32]]]:
        """All users in order, ``size`` at a time, each with the most recent ``longest`` items."""
        for start in range(0, len(self), size):
            yield [self[user][-longest:] for user in range(start, min(start + size, len(self)))]

    def item_counts(self, num_items: int) -> npt.NDArray[np.int64]:
        """How often each item occurs: int64 [num_items]. The popularity of an item, if these are training histories."""
        return np.bincount(self.items, minlength=num_items)

    def where(self, kept: npt.NDArray[np.bool_]) -> "Histories":
        """The same users with only the interactions ``kept``, bool [n]; a history may become empty."""
        kept_before = offsets_of(kept)  # [n + 1]
        return Histories(self.user_ids, self.items[kept], kept_before[self.offsets])

    def of_users(self, chosen: npt.NDArray[np.bool_]) -> "Histories":
        """Only the users ``chosen``, bool [users], with their whole histories."""
        user_ids = tuple(user_id for user_id, is_chosen in zip(self.user_ids, chosen, strict=True) if is_chosen)
        return Histories(user_ids, self.items[np.repeat(chosen, self.lengths)], offsets_of(self.lengths[chosen]))


def offsets_of(lengths: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Where each history begins, and where the last ends: int64 [users + 1] of int64 [users]."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)))


@dataclass(frozen=True, eq=False)
class Targets:
    """The users that are evaluated: what each did before, and the item that came then.

    Args:
        histories: of the evaluated users alone, never empty.
        items: int32 [users], the target of each.
    """

    histories: Histories
    items: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Split:
    """Leave-one-out: a user's last item is the test target, the one before it the validation target, the rest trains.

    Users with fewer than three interactions train with all they have, and are not evaluated.
    """

    train: Histories
    valid: Targets
    test: Targets


def split_leave_one_out(histories: Histories) -> Split:
    """Split as in the papers. The history before a test target includes the validation target."""
    evaluated = histories.lengths >= 3
    whole = histories.of_users(evaluated)
    return Split(
        train=_without_last(histories, np.where(evaluated, 2, 0)),
        valid=Targets(_without_last(whole, 2), whole.items[whole.offsets[1:] - 2]),
        test=Targets(_without_last(whole, 1), whole.items[whole.offsets[1:] - 1]),
    )


def _without_last(histories: Histories, count: npt.NDArray[np.int64] | int) -> Histories:
    """Without the last ``count`` interactions of each user: one number for all, or int64 [users]."""
    ends = (histories.offsets[1:] - count)[histories.users]  # [n]
    return histories.where(np.arange(len(histories.items)) < ends)
