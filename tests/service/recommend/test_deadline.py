"""A request says how long it waits: on both ways to an answer, and for every kind of recommendation."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import httpx
import pytest

from service.errors import DeadlinePassedError
from service.recommend.deadline import MOST_MILLISECONDS, within
from tests.running_service import RunningService, until

pytestmark = pytest.mark.anyio

PATH = "/v1/domains/shop/recommendations"
SHORT_WAY, LONG_WAY = "application/json", "application/json; charset=utf-8"
JSON = {"content-type": SHORT_WAY}
LARGE = 65 << 10  # of a body that waits for its turn


async def ask(shop: RunningService, milliseconds: str, content_type: str = SHORT_WAY) -> httpx.Response:
    headers = {"content-type": content_type, "x-request-timeout-ms": milliseconds, "x-request-id": "one"}
    return await shop.http.post(PATH, content=b'{"history": ["saw"]}', headers=headers)


async def test_an_answer_in_time_is_given() -> None:
    async def answer() -> int:
        return 1

    assert await within(MOST_MILLISECONDS, perf_counter(), answer()) == 1
    assert await within(None, perf_counter(), answer()) == 1


async def test_what_is_too_late_is_broken_off() -> None:
    was_cancelled = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    with pytest.raises(DeadlinePassedError):
        await within(MOST_MILLISECONDS, perf_counter() - MOST_MILLISECONDS / 1000, never())
    assert was_cancelled.is_set()


async def test_a_timeout_of_something_else_is_no_deadline() -> None:
    async def fail() -> None:
        raise TimeoutError("of Redis")

    with pytest.raises(TimeoutError, match="of Redis"):
        await within(MOST_MILLISECONDS, perf_counter(), fail())


@pytest.mark.parametrize("content_type", [SHORT_WAY, LONG_WAY])
async def test_a_request_waits_in_vain(shop: RunningService, content_type: str, busy: None) -> None:
    answer = await ask(shop, "1", content_type)
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:vqrec:problem:deadline-passed"


async def test_so_do_many_at_once_and_those_for_similar_items(shop: RunningService, busy: None) -> None:
    soon = {"x-request-timeout-ms": "1"}
    batch = await shop.http.post(f"{PATH}:batch", json={"requests": [{"history": ["saw"]}] * 2}, headers=soon)
    similar = await shop.http.get("/v1/domains/shop/items/saw/similar", headers=soon)
    assert (batch.status_code, similar.status_code) == (504, 504)


async def test_what_nobody_waits_for_leaves_the_queue(shop: RunningService, busy: None) -> None:
    await ask(shop, "1")
    depth = 'vqrec_queue_depth{queue="recommend"} 0.0'
    assert depth in (await shop.http.get("/metrics")).text


async def test_so_does_a_large_body_for_its_turn_to_be_read(shop: RunningService) -> None:
    body = b'{"requests": [{"history": ["saw"]}], "more": "%s"}' % (b"x" * LARGE)

    async def stands_in_line() -> bool:
        return bool(shop.state.reading._waiters)

    async with shop.state.reading:
        answer = await shop.http.post(f"{PATH}:batch", content=body, headers={**JSON, "x-request-timeout-ms": "1"})
        assert (answer.status_code, answer.json()["type"]) == (504, "urn:vqrec:problem:deadline-passed")
        waiting = asyncio.create_task(shop.http.post(f"{PATH}:batch", content=body, headers=JSON))
        await until(stands_in_line)
    assert (await waiting).status_code == 422, "which is found once it is read"
    assert not shop.state.reading.locked()


@pytest.mark.parametrize("content_type", [SHORT_WAY, LONG_WAY])
async def test_the_time_in_which_the_body_arrives_counts(shop: RunningService, content_type: str) -> None:
    was_cancelled = asyncio.Event()

    async def never_whole() -> AsyncIterator[bytes]:
        try:
            yield b'{"history": '
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    headers = {"content-type": content_type, "x-request-timeout-ms": "1"}
    sent = shop.http.build_request("POST", PATH, content=never_whole(), headers=headers)
    del sent.headers["transfer-encoding"]
    sent.headers["content-length"] = "20"
    async with asyncio.timeout(30):  # else it would wait for ever
        answer = await shop.http.send(sent)
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:vqrec:problem:deadline-passed")
    assert was_cancelled.is_set()


@pytest.fixture
def busy(shop: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch begins."""
    batcher = shop.state.registry.recommender._batcher
    monkeypatch.setattr(batcher, "_dispatch", lambda: None)


@pytest.mark.parametrize("content_type", [SHORT_WAY, LONG_WAY])
async def test_only_a_number_of_milliseconds_is_read(shop: RunningService, content_type: str) -> None:
    for milliseconds, status in (
        ("600000", 200),
        ("600001", 422),
        ("0", 422),
        ("-5", 422),
        ("soon", 422),
        ("1.5", 422),
    ):
        assert (await ask(shop, milliseconds, content_type)).status_code == status, milliseconds
