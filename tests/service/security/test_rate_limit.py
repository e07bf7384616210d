"""The bucket of tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.security.rate_limit import Rate, TokenBucket


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def take(bucket: TokenBucket) -> float:
    """Spend a token as who lets a request in does. 0, or where there is none the seconds until there is one."""
    wait = bucket.wait()
    if not wait:
        bucket.owe(1)
    return wait


def test_a_burst_passes_and_then_one_at_a_time(clock: Time) -> None:
    bucket = TokenBucket(Rate(per_second=2.0, burst=3.0), clock)
    assert [take(bucket) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now += 0.5
    assert [take(bucket), take(bucket)] == [0.0, 0.5]


def test_a_pause_brings_a_burst_back_and_no_more(clock: Time) -> None:
    bucket = TokenBucket(Rate(per_second=2.0, burst=3.0), clock)
    clock.now += 3600.0
    assert [take(bucket) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_refusals_cost_nothing(clock: Time) -> None:
    bucket = TokenBucket(Rate(per_second=1.0, burst=1.0), clock)
    assert [take(bucket) for _ in range(100)] == [0.0] + [1.0] * 99


def test_what_is_owed_is_waited_for(clock: Time) -> None:
    bucket = TokenBucket(Rate(per_second=10.0, burst=5.0), clock)
    assert take(bucket) == 0.0
    bucket.owe(1003)
    assert take(bucket) == pytest.approx(100.0)
    clock.now += 99.0
    assert take(bucket) == pytest.approx(1.0)
    clock.now += 1.0
    assert take(bucket) == 0.0


@given(
    rate=st.floats(0.001, 1e6),
    burst=st.floats(1, 1e6),
    spent=st.integers(0, 10_000),
)
def test_after_the_wait_that_was_told_there_is_room(rate: float, burst: float, spent: int) -> None:
    clock = Time()
    bucket = TokenBucket(Rate(rate, burst), clock)
    bucket.owe(spent)
    wait = take(bucket)
    clock.now += wait
    assert wait == 0.0 or take(bucket) < 1e-6


@given(steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20)), max_size=60))
def test_nobody_gets_more_than_the_rate_in_the_long_run(steps: list[tuple[float, int]]) -> None:
    clock, spent = Time(), 0
    bucket = TokenBucket(Rate(per_second=3.0, burst=5.0), clock)
    for pause, more in steps:
        clock.now += pause
        before = spent
        if take(bucket) == 0.0:
            bucket.owe(more)
            spent += 1 + more
        # The last request let in may have gone beyond, since it owes; none before it had.
        assert before <= 5.0 + 3.0 * (clock.now - 1000.0) + 20 + 1e-6
