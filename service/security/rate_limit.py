"""How many requests a caller may send: a bucket of tokens that fills evenly, and that a large request may overdraw."""

from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Gives seconds that only ever grow."""

_ALMOST = 1e-9  # what rounding may have lost of a token


@dataclass(frozen=True, slots=True)
class Rate:
    """Args:
    per_second: what comes back each second.
    burst: what can be spent at once after a pause, at least 1.
    """

    per_second: float
    burst: float

    @classmethod
    def of(cls, per_second: float, burst: float | None = None) -> "Rate":
        """A rate whose burst is, unless it is given, what one second brings."""
        return cls(per_second, max(1.0, per_second) if burst is None else burst)


class TokenBucket:
    """What one caller has left; full to begin with.

    A request needs one token to be let in. What it turns out to be worth beyond that it owes, and the next request
    waits until that is paid: a bulk need not fit the bucket, and no caller gets more than its rate in the long run.
    """

    __slots__ = ("_clock", "_filled_at", "_tokens", "rate")

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self.rate = rate
        self._clock = clock
        self._tokens, self._filled_at = rate.burst, clock()

    def wait(self) -> float:
        """Seconds until there is a token to be taken; 0 where there is one."""
        now = self._clock()
        self._tokens = min(self.rate.burst, self._tokens + (now - self._filled_at) * self.rate.per_second)
        self._filled_at = now
        missing = 1.0 - self._tokens
        return missing / self.rate.per_second if missing > _ALMOST else 0.0

    def owe(self, tokens: int) -> None:
        """Spend tokens whether or not they are there."""
        self._tokens -= tokens
