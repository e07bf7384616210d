import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from models.text_encoder import TextEncoder, TextVectors
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
    together, *single = await asyncio.gather(encoding.encode(TEXTS), *(encoding.encode([text]) for text in TEXTS[:4]))
    assert together.dtype == np.float16
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))
    np.testing.assert_array_equal(np.concatenate(single), together[:4])


async def test_no_text_is_no_vector(encoding: TextEncoding, tiny: TinyStore) -> None:
    assert (await encoding.encode([])).shape == (0, tiny.load_text_encoder().text_dim)


async def test_more_texts_than_the_queue_holds_are_encoded(encoding: TextEncoding) -> None:
    assert len(await encoding.encode(TEXTS * 3)) == 60


async def test_a_full_queue_refuses(encoding: TextEncoding) -> None:
    results = await asyncio.gather(*(encoding.encode(TEXTS[:16]) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [np.ndarray, np.ndarray, OverloadedError]


async def test_a_flow_that_floods_leaves_room_for_others_and_who_asks_little_is_never_refused(
    encoding: TextEncoding,
) -> None:
    calls = [("flood", 4)] * 20 + [("light", 1), ("other", 4)] + [("flood", 4)] * 5 + [("third", 1)]
    results = await asyncio.gather(
        *(encoding.encode(TEXTS[:size], flow) for flow, size in calls), return_exceptions=True
    )
    refused = [isinstance(result, OverloadedError) for result in results]
    assert refused == [False] * 7 + [True] * 13 + [False, False] + [True] * 5 + [False]


async def test_places_in_the_queue_are_given_back(encoding: TextEncoding) -> None:
    for _ in range(3):
        await asyncio.gather(*(encoding.encode(TEXTS[:8], flow) for flow in "abc"))
    gone = asyncio.create_task(encoding.encode(TEXTS[:16], "a"))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    results = await asyncio.gather(*(encoding.encode(TEXTS[:16], "a") for _ in range(2)))
    assert [len(result) for result in results] == [16, 16]


async def test_what_nobody_waits_for_any_more_is_neither_tokenised_nor_encoded(
    tiny: TinyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, going_on, started, seen = tiny.load_text_encoder(), threading.Event(), threading.Event(), list[str]()
    tokenize, encode = TextEncoder.tokenize, TextEncoder.encode_tokens

    def note(self: TextEncoder, texts: Sequence[str]) -> list[list[int]]:
        seen.extend(texts)
        started.set()
        assert going_on.wait(60)
        return tokenize(self, texts)

    def count(self: TextEncoder, token_ids: Sequence[Sequence[int]]) -> TextVectors:
        seen.extend("encoded" for _ in token_ids)
        return encode(self, token_ids)

    monkeypatch.setattr(TextEncoder, "tokenize", note)
    monkeypatch.setattr(TextEncoder, "encode_tokens", count)
    encoding = TextEncoding(encoder, Metrics(), EncodingConfig(threads=1, largest_batch=8, queue_size=32))
    staying, *going = [asyncio.create_task(encoding.encode(texts)) for texts in (["here"], ["a", "b"], ["c"])]
    assert await asyncio.to_thread(started.wait, 60)
    for each in going:
        each.cancel()
    await asyncio.wait(going)
    going_on.set()
    assert len(await staying) == 1
    await encoding.stop()
    assert seen == ["here", "encoded"]


async def test_who_is_tokenised_does_not_wait_until_a_whole_flood_is(
    tiny: TinyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    tokenize, encode = TextEncoder.tokenize, TextEncoder.encode_tokens

    def note_texts(self: TextEncoder, texts: Sequence[str]) -> list[list[int]]:
        steps.append(texts[0])
        return tokenize(self, texts)

    def note_batch(self: TextEncoder, token_ids: Sequence[Sequence[int]]) -> TextVectors:
        steps.append("batch")
        return encode(self, token_ids)

    monkeypatch.setattr(TextEncoder, "tokenize", note_texts)
    monkeypatch.setattr(TextEncoder, "encode_tokens", note_batch)
    config = EncodingConfig(threads=1, largest_batch=8, queue_size=1000)
    encoding = TextEncoding(tiny.load_text_encoder(), Metrics(), config)
    flood = [asyncio.create_task(encoding.encode(["flood"] * 8, "flood")) for _ in range(20)]
    light = asyncio.create_task(encoding.encode(["light"], "light"))
    await asyncio.gather(light, *flood)
    await encoding.stop()
    assert steps.index("light") <= 4
    assert steps.index("batch") < steps.index("light") + 3
    assert steps[-1] == "batch"


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
