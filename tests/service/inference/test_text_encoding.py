import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from service.errors import OverloadedError, RetryableError, StoppingError
from service.inference.text_encoding import EncodingConfig, TextEncoding
from service.metrics import Metrics
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

TEXTS = [f"article number {number} " + "x" * (number % 5) for number in range(20)]


@pytest.fixture
async def encoding(tiny: TinyStore) -> AsyncIterator[TextEncoding]:
    encoding = TextEncoding(
        tiny.load_text_encoder(), Metrics(), EncodingConfig(threads=2, largest_batch=8, queue_size=32)
    )
    yield encoding
    await encoding.stop()


async def test_texts_get_the_vectors_that_the_encoder_gives_them_alone(encoding: TextEncoding, tiny: TinyStore) -> None:
    encoder = tiny.load_text_encoder()
    together, *single = await asyncio.gather(encoding.encode(TEXTS), *(encoding.encode([text]) for text in TEXTS[:8]))
    assert together.dtype == np.float16
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))
    np.testing.assert_array_equal(np.concatenate(single), together[:8])


async def test_no_text_is_no_vector(encoding: TextEncoding, tiny: TinyStore) -> None:
    assert (await encoding.encode([])).shape == (0, tiny.load_text_encoder().text_dim)


async def test_more_texts_than_the_queue_holds_are_encoded(encoding: TextEncoding) -> None:
    assert len(await encoding.encode(TEXTS * 3)) == 60


async def test_a_full_queue_refuses(encoding: TextEncoding) -> None:
    results = await asyncio.gather(*(encoding.encode(TEXTS[:16]) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [np.ndarray, np.ndarray, OverloadedError]


async def test_one_that_was_stopped_refuses(encoding: TextEncoding) -> None:
    await encoding.stop()
    with pytest.raises(StoppingError):
        await encoding.encode(["text"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a priority of one thread")
async def test_the_threads_give_way_to_all_others(encoding: TextEncoding, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def note_priority(texts: list[str]) -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))
        raise ValueError("enough")

    monkeypatch.setattr("models.text_encoder.TextEncoder.tokenize", lambda _, texts: note_priority(texts))
    with pytest.raises(ValueError, match="enough"):
        await encoding.encode(["text"])
    assert seen[0] > os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize("step", ["tokenize", "encode_tokens"])
async def test_an_error_reaches_its_callers_and_the_next_one_is_served(
    encoding: TextEncoding, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(f"models.text_encoder.TextEncoder.{step}", fail)
        results = await asyncio.gather(encoding.encode(TEXTS[:9]), encoding.encode(["a"]), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    assert (await encoding.encode(TEXTS[:9])).shape[0] == 9


async def test_callers_of_a_thread_that_dies_are_told_and_the_next_one_is_served(
    encoding: TextEncoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as deadly:
        deadly.setattr("models.text_encoder.TextEncoder.encode_tokens", die)
        results = await asyncio.gather(encoding.encode(TEXTS[:9]), encoding.encode(["a"]), return_exceptions=True)
    assert [type(result) for result in results] == [RetryableError, RetryableError]
    assert (await encoding.encode(TEXTS[:9])).shape[0] == 9


async def test_a_caller_that_goes_away_leaves_the_others_their_vectors(encoding: TextEncoding) -> None:
    gone, here = (asyncio.create_task(encoding.encode(TEXTS[:16])) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert len(await here) == 16
    await asyncio.wait_for(encoding.stop(), 60)


async def test_what_was_accepted_is_encoded_before_it_stops(encoding: TextEncoding) -> None:
    accepted = asyncio.create_task(encoding.encode(TEXTS))
    await asyncio.sleep(0)
    await encoding.stop()
    assert len(accepted.result()) == 20


async def test_one_whose_stopping_is_cut_short_leaves_nobody_waiting(
    encoding: TextEncoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()
    monkeypatch.setattr("models.text_encoder.TextEncoder.tokenize", lambda *_: going_on.wait(60) and [])
    accepted = asyncio.create_task(encoding.encode(TEXTS))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(encoding.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(StoppingError):
        await accepted
    going_on.set()


async def test_it_is_ready_to_encode_after_a_warm_up(encoding: TextEncoding) -> None:
    await encoding.warm_up()
    assert len(await encoding.encode(["text"])) == 1
