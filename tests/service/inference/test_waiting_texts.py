"""Which texts are encoded next: of one length, in turn, and nobody behind a bulk."""

import asyncio
import weakref

import numpy as np
import pytest

from service.inference.waiting_texts import Call, WaitingTexts

pytestmark = pytest.mark.anyio


def call(name: str, count: int = 1, flow: str = "") -> Call:
    answer = asyncio.get_running_loop().create_future()
    return Call([name] * count, np.empty((count, 4), dtype=np.float16), answer, 0.0, count, flow)


def take(waiting: WaitingTexts, size: int) -> list[tuple[str, int]]:
    """The next batch of at most ``size``: the name of each text's call, and its row."""
    return [(text.call.texts[0], text.row) for text in waiting.take(lambda _: size)]


async def test_a_batch_has_one_length_and_starts_with_who_came_first() -> None:
    waiting = WaitingTexts()
    for name, length in (("a", 3), ("b", 5), ("c", 3), ("d", 5), ("e", 3)):
        waiting.add(call(name), [[0] * length])
    assert take(waiting, 2) == [("a", 0), ("c", 0)]
    assert take(waiting, 2) == [("b", 0), ("d", 0)]
    assert take(waiting, 2) == [("e", 0)]
    assert take(waiting, 2) == []


async def test_the_size_of_a_batch_may_depend_on_its_length() -> None:
    waiting = WaitingTexts()
    waiting.add(call("a", 6), [[0] * 8] * 3 + [[0] * 4] * 3)
    sizes = [len(waiting.take(lambda length: 8 // length)) for _ in range(5)]
    assert sizes == [1, 1, 1, 2, 1]


async def test_a_single_text_does_not_wait_for_a_bulk_that_came_before() -> None:
    waiting = WaitingTexts()
    waiting.add(call("bulk", 100), [[0, 0]] * 100)
    assert take(waiting, 4) == [("bulk", row) for row in range(4)]
    waiting.add(call("single"), [[0, 0]])
    assert ("single", 0) in take(waiting, 4)


async def test_a_bulk_gets_its_turn_however_many_come_after() -> None:
    waiting, taken = WaitingTexts(), []
    waiting.add(call("bulk", 10), [[0, 0]] * 10)
    for _ in range(20):
        waiting.add(call("single"), [[0, 0]])
        waiting.add(call("single"), [[0, 0]])
        taken += take(waiting, 2)
    assert taken.count(("bulk", 9)) == 1


async def test_flows_get_equal_parts_of_a_batch_however_many_calls_each_has() -> None:
    waiting = WaitingTexts()
    for _ in range(50):
        waiting.add(call("flood", 4, flow="a"), [[0, 0]] * 4)
    waiting.add(call("bulk", 40, flow="b"), [[0, 0]] * 40)
    for _ in range(4):
        batch = take(waiting, 20)
        assert [name for name, _ in batch].count("bulk") == 10


async def test_who_asks_little_comes_next_while_many_flood_with_texts_of_all_lengths() -> None:
    waiting = WaitingTexts()
    lengths = [[0] * (1 + number % 30) for number in range(120)]
    for number in range(50):
        waiting.add(call("flood", len(lengths), flow=f"flood {number}"), lengths)
    for _ in range(40):
        take(waiting, 8)
    waiting.add(call("light", flow="light"), [[0] * 31])
    batches = [take(waiting, 8) for _ in range(50)]
    # Behind no more than one text of each of those that flood.
    assert [("light", 0)] in batches
    assert len(waiting) > 4000


async def test_a_flow_that_had_the_others_parts_while_they_were_away_is_not_made_to_wait_for_it() -> None:
    waiting = WaitingTexts()
    waiting.add(call("early", 300, flow="early"), [[0]] * 300)
    for _ in range(10):
        take(waiting, 20)
    waiting.add(call("late", 300, flow="late"), [[0]] * 300)
    taken = [name for _ in range(4) for name, _ in take(waiting, 20)]
    assert 25 <= taken.count("early") <= 40


async def test_a_flow_gains_nothing_by_asking_for_a_batch_at_a_time() -> None:
    waiting, taken = WaitingTexts(), []
    waiting.add(call("patient", 1000, flow="patient"), [[0]] * 1000)
    for _ in range(20):
        if len(waiting) + taken.count("patient") == 1000:  # it has been given all that it asked for
            waiting.add(call("pushing", 20, flow="pushing"), [[0, 0]] * 20)
        taken += [name for name, _ in take(waiting, 20)]
    assert taken.count("patient") == 200


async def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    waiting, gone = WaitingTexts(), call("gone", 3)
    waiting.add(gone, [[0], [0, 0], [0, 0]])
    waiting.add(call("here"), [[0, 0]])
    waiting.abandon(gone)
    assert len(waiting) == 1
    assert take(waiting, 8) == [("here", 0)]
    assert take(waiting, 8) == []


async def test_who_goes_away_before_its_texts_can_wait_leaves_none() -> None:
    waiting, gone = WaitingTexts(), call("gone", 3)
    waiting.abandon(gone)
    waiting.add(gone, [[0]] * 3)
    assert len(waiting) == 0
    assert take(waiting, 8) == []


async def test_callers_that_come_and_go_leave_no_texts_behind() -> None:
    waiting, staying, texts = WaitingTexts(), call("staying", 10), []
    waiting.add(staying, [[0] * 5] * 10)
    for _ in range(100):
        gone = call("gone", 50)
        tokens = [Tokens() for _ in range(50)]
        texts += map(weakref.ref, tokens)
        waiting.add(gone, tokens)
        del tokens
        waiting.abandon(gone)
    assert len(waiting) == 10
    assert sum(text() is not None for text in texts) <= 60  # of the last
    assert take(waiting, 20) == [("staying", row) for row in range(10)]


class Tokens(list[int]):
    """Token ids of one text that can be referred to weakly."""

    def __init__(self) -> None:
        super().__init__([0] * 5)
