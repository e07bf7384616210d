"""Which texts are encoded next: of one length, in turn, and nobody behind a bulk."""

import asyncio

import numpy as np
import pytest

from service.inference.waiting_texts import Call, WaitingTexts

pytestmark = pytest.mark.anyio


def call(name: str, count: int = 1) -> Call:
    answer = asyncio.get_running_loop().create_future()
    return Call([name] * count, np.empty((count, 4), dtype=np.float16), answer, 0.0, count)


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


async def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    waiting, gone = WaitingTexts(), call("gone", 3)
    waiting.add(gone, [[0], [0, 0], [0, 0]])
    waiting.add(call("here"), [[0, 0]])
    gone.answer.cancel()
    assert take(waiting, 8) == [("here", 0)]
    assert take(waiting, 8) == []
