"""The connections that are open, how many there may be, and the round that finds those whose clients are too slow."""

import asyncio
from collections.abc import Callable
from typing import Protocol

_SPARE = 64  # beyond the limit, for those who ask after the service's health


class Connection(Protocol):
    """What is looked at in every round."""

    def check(self, now: float) -> None:
        """End the connection if its client is too slow."""
        ...

    def cut_off(self) -> None:
        """End the connection at once, whatever its client has still to take."""
        ...


class Connections:
    """Every open connection. Looking at all of them now and then costs less than a timer for each request.

    Args:
        most: how many are served.
        seconds: between two rounds.
        clock: what time limits are told by.
        after_round: called after each round, and once more when the last connection has ended.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float], after_round: Callable[[], None]) -> None:
        self._most, self._seconds, self._clock, self._after_round = most, seconds, clock, after_round
        self._open: set[Connection] = set()
        self._next: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether a connection that comes now is one too many, which is not even answered."""
        return len(self._open) >= self._most + _SPARE

    def add(self, connection: Connection) -> bool:
        """Look after a connection from now on; False if it is beyond those that are served."""
        self._open.add(connection)
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self._seconds, self._round)
        return len(self._open) <= self._most

    def remove(self, connection: Connection) -> None:
        self._open.discard(connection)

    def _round(self) -> None:
        now, self._next = self._clock(), None
        for connection in list(self._open):
            connection.check(now)
        self._after_round()
        if self._open:
            self._next = asyncio.get_running_loop().call_later(self._seconds, self._round)


class UnreadAnswers:
    """The bytes of answers that wait for their clients to take the rest of them, beyond what the system keeps.

    Beyond the limit those are cut off that have waited longest: who takes an answer as it comes is never among them.

    Args:
        limit: bytes that all may hold; one that is alone may hold more.
    """

    def __init__(self, limit: int) -> None:
        self.taken, self._limit = 0, limit
        self._held: dict[Connection, int] = {}  # the one that has waited longest first

    def hold(self, connection: Connection, size: int) -> None:
        """Note how much a connection holds now; what it held before counts no more."""
        self.taken += size - self._held.get(connection, 0)
        self._held[connection] = size
        while self.taken > self._limit and len(self._held) > 1:
            oldest = next(iter(self._held))
            self.release(oldest)
            oldest.cut_off()

    def release(self, connection: Connection) -> None:
        """Its client has taken what there was."""
        self.taken -= self._held.pop(connection, 0)
