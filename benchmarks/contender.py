"""An index under test, whoever made it, and how its speed and its recall are measured."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.cpu import available_cpus
from models.table import CodeTable

T = TypeVar("T")
Vectors = npt.NDArray[np.float32]
Slots = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

K = 50
WANTED_RECALL = 0.98
_BLOCK = 50_000
_TIE = 2e-6  # rounding of a score of two vectors of length one in float32
_ROUNDS = 3


@dataclass(frozen=True)
class Build:
    """What a build took.

    Args:
        seconds: by the clock; on a busy machine more than it needs.
        cpu_seconds: of all threads together.
        threads: that it was given.
    """

    seconds: float
    cpu_seconds: float
    threads: int


class Search(Protocol):
    """Users float32 [q, width] ─► slots int64 [q, k] of the best items, -1 where nothing more was found."""

    def __call__(self, users: Vectors, k: int, effort: int) -> Slots: ...


@dataclass(frozen=True, eq=False)
class Contender:
    """An index that is built and ready.

    Args:
        name: of the kind.
        efforts: to search with, ascending, in the index's own unit; one 0 where it has no choice.
        search: all items, with one of these efforts.
        among: a search of the items that are allowed, bool [n], alone; None where the index takes no filter.
        build: what it took.
        nbytes: all that it keeps.
    """

    name: str
    efforts: Sequence[int]
    search: Search
    among: Callable[[Mask], Search] | None
    build: Build
    nbytes: int


@dataclass(frozen=True, eq=False)
class Question:
    """Queries over a catalogue, with what counts as found.

    An item counts if its score is one of the best ``K``: of items that tie at the end, any will do.

    Args:
        users: float32 [q, width].
        codes: [n, D].
        table: what codes mean.
        thresholds: the score of the K-th best item of each user, float32 [q]; -inf where there are fewer.
        matching: how many items may be found.
    """

    users: Vectors
    codes: Codes
    table: CodeTable
    thresholds: Vectors
    matching: int

    @classmethod
    def ask(cls, users: Vectors, codes: Codes, table: CodeTable, allowed: Mask | None = None) -> "Question":
        """Score every item for every user, without any index, a block of items at a time."""
        best = np.full((len(users), K), -np.inf, dtype=np.float32)
        for start in range(0, len(codes), _BLOCK):
            part = codes[start : start + _BLOCK]
            part = part if allowed is None else part[allowed[start : start + _BLOCK]]
            scores = np.concatenate([best, users @ table.normalized(part).T], axis=1)
            best = np.partition(scores, scores.shape[1] - K, axis=1)[:, -K:]
        matching = len(codes) if allowed is None else int(np.count_nonzero(allowed))
        return cls(users, codes, table, best.min(axis=1), matching)

    def recall(self, slots: Slots) -> float:
        """The share of the best ``K``, or of all that match where they are fewer, among slots [q, K]."""
        hits = 0
        for user, threshold, found in zip(self.users, self.thresholds, slots, strict=True):
            distinct = np.unique(found[found >= 0])
            hits += int((self.table.normalized(self.codes[distinct]) @ user >= threshold - _TIE).sum())
        return hits / (min(K, self.matching) * len(slots))


def searched(search: Callable[[Vectors], Slots], users: Vectors, batch: int) -> Slots:
    """The answers for all users, ``batch`` at a time."""
    return np.concatenate([search(users[start : start + batch]) for start in range(0, len(users), batch)])


def rate(search: Callable[[Vectors], Slots], users: Vectors, batch: int, seconds: float) -> float:
    """Users a second, ``batch`` at a time: the best of three rounds, each of ``seconds`` or one search at least."""
    best = 0.0
    place = 0
    for _ in range(_ROUNDS):
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            part = users[place : place + batch]
            search(part)
            done += len(part)
            place = place + batch if place + 2 * batch <= len(users) else 0
        best = max(best, done / (time.perf_counter() - start))
    return best


def timed(make: Callable[[], T]) -> tuple[T, Build]:
    """What ``make`` makes, and what that took."""
    start, cpu = time.perf_counter(), _cpu_seconds()
    made = make()
    return made, Build(round(time.perf_counter() - start, 2), round(_cpu_seconds() - cpu, 2), available_cpus())


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread, and those that it starts, on one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system
