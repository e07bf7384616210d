"""How many are admitted, and of whom."""

from dataclasses import dataclass

import pytest

from service.edge.admission import BodyMemory, Lane, LaneConfig


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def lane(clock: Clock | None = None, **config: float) -> Lane:
    return Lane("test", LaneConfig(**config), clock or Clock())  # type: ignore[arg-type]


def fill(tested: Lane, share: str, tries: int = 10_000) -> int:
    """How many of ``share`` are admitted until one is not."""
    return next((number for number in range(tries) if not tested.admit(share)), tries)


def serve(tested: Lane, clock: Clock, pace: float, answers: int, share: str = "a") -> None:
    """Answer requests, one every ``pace`` seconds, with always as many as possible in flight."""
    for _ in range(answers):
        fill(tested, share)
        clock.now += pace
        tested.release(share, answered=True)


def drain(tested: Lane, share: str = "a") -> None:
    while tested.in_flight:
        tested.release(share, answered=True)


@pytest.mark.parametrize("most", [1, 2, 8, 32, 1000])
def test_a_share_that_is_alone_gets_all_that_is_said(most: int) -> None:
    assert fill(lane(fewest=1, most=most), "a") == most


def test_a_place_that_is_given_back_can_be_had_again() -> None:
    tested = lane(fewest=1, most=3)
    assert fill(tested, "a") == 3
    tested.release("a", answered=True)
    assert fill(tested, "a") == 1
    assert tested.in_flight == 3


@pytest.mark.parametrize("pace", [0.0005, 0.001, 0.004])
def test_as_many_are_admitted_as_are_answered_in_the_longest_wait(pace: float) -> None:
    clock = Clock()
    tested = lane(clock, fewest=2, most=10_000, longest_wait=0.1)
    serve(tested, clock, pace, answers=5000)
    fill(tested, "a")
    assert tested.in_flight == pytest.approx(0.1 / pace, rel=0.05)


def test_the_fewest_are_admitted_however_slow_it_is_and_the_most_however_fast() -> None:
    clock = Clock()
    slow, fast = (lane(clock, fewest=4, most=50, longest_wait=0.1) for _ in range(2))
    serve(slow, clock, 1.0, answers=1000)
    serve(fast, clock, 1e-6, answers=3000)
    fill(slow, "a")
    fill(fast, "a")
    assert (slow.in_flight, fast.in_flight) == (4, 50)


def test_few_requests_with_long_pauses_between_them_tell_nothing_of_how_many_could_be_answered() -> None:
    clock = Clock()
    tested = lane(clock, fewest=2, most=10_000, longest_wait=0.1)
    before = tested.room
    for _ in range(1000):
        assert tested.admit("a")
        clock.now += 1.0
        tested.release("a", answered=True)
    assert tested.room == before


def test_what_was_not_computed_tells_nothing_either() -> None:
    clock = Clock()
    tested = lane(clock, fewest=2, most=10_000, longest_wait=0.1)
    before = tested.room
    for _ in range(1000):
        fill(tested, "a")
        clock.now += 1e-6
        tested.release("a", answered=False)
    assert tested.room == before


def test_a_lane_finds_its_pace_anew_when_it_changes() -> None:
    clock = Clock()
    tested = lane(clock, fewest=2, most=10_000, longest_wait=0.1)
    for pace in (0.001, 0.004, 0.0005):
        serve(tested, clock, pace, answers=3000)
        fill(tested, "a")
        assert tested.in_flight == pytest.approx(0.1 / pace, rel=0.05)


def test_as_many_clients_as_a_burst_holds_are_never_refused_if_each_waits_for_its_answer() -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    assert fill(tested, "a", tries=40) == 40
    for _ in range(1000):
        clock.now += 0.01
        tested.release("a", answered=True)
        assert tested.admit("a")


def test_one_too_many_ends_the_burst_until_those_in_flight_are_few() -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    assert fill(tested, "a") == 40
    for _ in range(31):
        assert not tested.admit("a")
        tested.release("a", answered=True)
    assert (tested.in_flight, fill(tested, "a")) == (9, 1)


def test_the_burst_of_one_share_is_not_for_others_to_wait_for() -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    assert fill(tested, "a") == 40
    tested.release("a", answered=True)
    assert not tested.admit("a")
    assert fill(tested, "b") > 0


def test_a_burst_has_an_end() -> None:
    assert fill(lane(fewest=10, most=10, burst=4), "a") == 40


def test_while_a_queue_stands_there_is_no_other_burst() -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    fill(tested, "a")
    while tested.in_flight > 10:
        tested.release("a", answered=True)
    for _ in range(1000):
        clock.now += 0.009
        for _ in range(8):  # answered together, as a batch is, and as many ask again in no time
            tested.release("a", answered=True)
        clock.now += 0.001
        assert fill(tested, "a") == 8


@pytest.mark.parametrize("clump", [2, 8])
def test_a_burst_is_possible_again_under_a_load_that_can_be_carried_though_some_come_together(clump: int) -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    fill(tested, "a")
    drain(tested)
    fill(tested, "a", tries=3)
    for _ in range(300):
        fill(tested, "a", tries=clump)  # eight of them are too many
        clock.now += 0.002
        while tested.in_flight > 3:
            tested.release("a", answered=True)
        clock.now += 0.008
    assert fill(tested, "a") == 37


def test_a_queue_that_comes_and_goes_is_a_burst_every_time() -> None:
    clock = Clock()
    tested = lane(clock, fewest=10, most=10, burst=4)
    for _ in range(20):
        assert fill(tested, "a", tries=30) == 30
        clock.now += 0.1
        drain(tested)
        clock.now += 0.1


def test_a_share_that_comes_later_finds_room_and_comes_to_its_part() -> None:
    tested = lane(fewest=100, most=100)
    assert fill(tested, "a") == 100
    held = {"a": 100, "b": 0}
    for _ in range(2000):  # both ask all the time; the one that holds more is answered, as turns would have it
        for share in ("b", "a"):
            held[share] += fill(tested, share)
        largest = max(held, key=lambda share: held[share])
        tested.release(largest, answered=True)
        held[largest] -= 1
    assert held["b"] > 0.45 * sum(held.values())


def test_with_many_shares_that_want_more_each_still_gets_some() -> None:
    tested = lane(fewest=100, most=100)
    for share in "abcd":
        assert fill(tested, share) > 0


@pytest.mark.parametrize("burst", [1, 8])
@pytest.mark.parametrize("floods", [5, 50, 500])
def test_one_that_asks_now_and_then_is_admitted_however_many_flood(floods: int, burst: float) -> None:
    clock = Clock()
    tested = lane(clock, fewest=16, most=64, longest_wait=0.01, burst=burst)
    held = dict.fromkeys(map(str, range(floods)), 0)
    for _ in range(20):
        for share in held:
            held[share] += fill(tested, share)
        assert tested.admit("light")
        clock.now += 0.001
        for share in held:  # all are answered that have waited longest, one of each
            tested.release(share, answered=True)
            held[share] -= 1
        tested.release("light", answered=True)
    assert tested.in_flight <= max(64 * 1.25 * burst, floods)


def test_a_body_that_is_alone_may_take_any_memory_and_others_of_its_share_what_it_leaves() -> None:
    memory = BodyMemory(100)
    assert memory.take("shop", already=0, more=60)
    assert not memory.take("shop", already=0, more=30)
    assert memory.take("shop", already=0, more=20)
    assert not memory.take("shop", already=60, more=10)
    memory.give("shop", 20)
    assert memory.take("shop", already=60, more=1000)
    memory.give("shop", 1060)
    assert memory.taken == 0


def test_one_share_never_takes_all_the_memory_for_bodies() -> None:
    memory = BodyMemory(100)
    assert sum(memory.take("flood", already=0, more=10) for _ in range(20)) == 8
    assert memory.take("shop", already=0, more=90)
    assert not memory.take("third", already=0, more=1)
    memory.give("shop", 90)
    assert memory.take("third", already=0, more=1)
