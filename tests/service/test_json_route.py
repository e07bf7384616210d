"""Bodies that are large for JSON: read beside the event loop, and answered as small ones are."""

import asyncio
import json
import threading
from typing import Any

import pytest

from service import json_route
from service.blocking_threads import start_blocking_threads
from tests.running_service import RunningService, until

pytestmark = pytest.mark.anyio

BATCH = "/v1/domains/shop/recommendations:batch"
HEADERS = {"content-type": "application/json"}
FEW, MANY = 2, 256


def calls(count: int, **more: object) -> bytes:
    """A call of so many histories, of some 300 bytes each."""
    return json.dumps({"requests": [{"history": ["saw", *["x" * 60] * 5], "limit": 2, **more}] * count}).encode()


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that have parsed a body."""
    names: list[str] = []
    parse = json_route.parse_json

    def noted(raw: bytes) -> Any:
        names.append(threading.current_thread().name)
        return parse(raw)

    monkeypatch.setattr(json_route, "parse_json", noted)
    return names


async def test_the_event_loop_reads_small_bodies_and_threads_read_large_ones(
    shop: RunningService, readers: list[str]
) -> None:
    answers = []
    for count in (FEW, MANY):
        answer = await shop.http.post(BATCH, content=calls(count), headers=HEADERS)
        assert answer.status_code == 200, answer.text
        answers += answer.json()["results"]
    assert len(answers) == FEW + MANY
    assert len({json.dumps(answer["items"]) for answer in answers}) == 1
    assert [name.startswith("blocking") for name in readers] == [False, True]


async def test_a_large_answer_is_what_its_parts_are(shop: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    small = (await shop.http.post(BATCH, content=calls(FEW), headers=HEADERS)).json()["results"]
    monkeypatch.setattr("service.recommend.aside._LARGE", 0)  # so that a thread writes it
    large = (await shop.http.post(BATCH, content=calls(FEW), headers=HEADERS)).json()["results"]
    assert [answer["items"] for answer in large] == [answer["items"] for answer in small]


async def test_chunks_that_become_a_large_body_are_read_by_a_thread(shop: RunningService, readers: list[str]) -> None:
    async def chunks() -> Any:
        yield calls(MANY)

    assert (await shop.http.post(BATCH, content=chunks(), headers=HEADERS)).status_code == 200
    assert readers[0].startswith("blocking")


@pytest.mark.parametrize("more", [{"limit": 0}, {"surprise": 1}, {"filter": []}])
async def test_what_is_wrong_is_told_alike(shop: RunningService, more: dict[str, object]) -> None:
    told = [
        (await shop.http.post(BATCH, content=calls(count, **more), headers=HEADERS)).json() for count in (FEW, MANY)
    ]
    assert told[0]["status"] == 422
    assert [{**document, "request_id": ""} for document in told] == [{**told[0], "request_id": ""}] * 2


async def test_what_is_no_json_is_told_alike(shop: RunningService) -> None:
    for body in (calls(FEW)[:-1], calls(MANY)[:-1]):
        answer = await shop.http.post(BATCH, content=body, headers=HEADERS)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:vqrec:problem:malformed-json")


async def test_a_turn_is_held_until_the_thread_is_done_though_nobody_waits_any_more() -> None:
    turn, loop = asyncio.Semaphore(1), asyncio.get_running_loop()
    began, may_end = asyncio.Event(), threading.Event()

    def validate(value: Any) -> tuple[Any, list[Any]]:
        loop.call_soon_threadsafe(began.set)
        may_end.wait(30)
        return value, []

    try:
        waiting = asyncio.create_task(large_request().read_aside(validate, turn))
        await began.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert turn.locked()
    finally:
        may_end.set()
    await turn.acquire()


async def test_a_turn_is_over_at_once_where_nobody_waits_any_more_and_no_thread_has_begun() -> None:
    turn, may_end, validated = asyncio.Semaphore(1), threading.Event(), list[Any]()
    start_blocking_threads(1)

    def validate(value: Any) -> tuple[Any, list[Any]]:
        validated.append(value)
        return value, []

    async def has_its_turn() -> bool:
        return turn.locked()

    try:
        busy = asyncio.create_task(asyncio.to_thread(may_end.wait, 30))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(large_request().read_aside(validate, turn))
        await until(has_its_turn)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not turn.locked()
    finally:
        may_end.set()
    await busy
    await asyncio.to_thread(validated.copy)  # what stood before it in the line is done, or left out
    assert not validated
    await large_request().read_aside(validate, turn)
    assert len(validated) == 1
    await turn.acquire()


def large_request() -> json_route.StrictJsonRequest:
    async def receive() -> Any:
        return {"type": "http.request", "body": calls(MANY)}

    return json_route.StrictJsonRequest({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
