"""Bounded waits for what other processes bring about."""

import time
from collections.abc import Callable

_POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    """Wait for something to come true; the seconds that it took. Fails, saying what it waited for, if it does not."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"not within {seconds:g} s: {what}")
