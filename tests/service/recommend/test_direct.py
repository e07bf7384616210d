"""The short way answers as the framework does, and hands on what it does not take."""

from typing import Any

import httpx
import pytest

from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

PATH = "/v1/domains/shop/recommendations"
SHORT = {"content-type": "application/json"}
LONG = {"content-type": "application/json; charset=utf-8"}  # which the short way leaves to the framework


async def post(shop: RunningService, body: bytes, headers: dict[str, str], path: str = PATH) -> httpx.Response:
    return await shop.http.post(path, content=body, headers={"x-request-id": "one", **headers})


def told(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    document = answer.json()
    document.pop("took_ms", None)
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, headers, document


@pytest.mark.parametrize(
    "body",
    [
        b'{"history": ["hammer"]}',
        b'{"history": ["hammer", "nothing", {"item_id": "saw"}, {"text": "a file"}], "limit": 3}',
        b'{"history": ["saw"], "return_attributes": true, "exclude_item_ids": ["vice"], "exclude_history": false}',
        b'{"history": ["nothing"]}',
        b'{"history": ["nothing"], "fallback": "none"}',
        b'{"history": [], "fallback": "popular"}',
        b'{"history": ["saw"], "filter": {"price": {"lte": 3}}}',
        b'{"history": ["saw"], "explain": true}',
        b'{"history": []}',
        b'{"history": ["saw"], "limit": NaN}',
        b'{"history": ["\\ud800"]}',
        b'{"history": ["saw"]',
        b'{"history": ["saw"], "surprise": 1}',
        b"[" * 100_000,
        b"[]",
        b"",
    ],
)
async def test_both_ways_give_one_answer(shop: RunningService, body: bytes) -> None:
    assert told(await post(shop, body, SHORT)) == told(await post(shop, body, LONG))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {"content-type": "text/plain"}, 415),
        (PATH, {**SHORT, "content-encoding": "gzip"}, 415),
        ("/v1/domains/nowhere/recommendations", SHORT, 404),
        ("/v1/domains/Shop!/recommendations", SHORT, 422),
        ("/v1/domains/sh%6fp/recommendations", SHORT, 200),
        ("/v1/domains/shop/recommendations/", SHORT, 404),
        ("/v1/domains//recommendations", SHORT, 404),
    ],
)
async def test_what_is_not_plain_is_left_to_the_framework(
    shop: RunningService, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await post(shop, b'{"history": ["saw"]}', headers, path)).status_code == status


async def test_another_method_is_refused(shop: RunningService) -> None:
    assert (await shop.http.get(PATH)).status_code == 405


async def test_both_ways_are_counted_alike(shop: RunningService) -> None:
    for headers in (SHORT, LONG):
        await post(shop, b'{"history": ["saw"]}', headers)
    metrics = (await shop.http.get("/metrics")).text
    route = 'method="POST",route="/v1/domains/{domain}/recommendations",status="200"'
    assert f"vqrec_http_requests_total{{{route}}} 2.0" in metrics


async def test_a_body_in_pieces_is_read_whole(shop: RunningService) -> None:
    whole = await post(shop, b'{"history": ["saw"]}', SHORT)

    async def pieces() -> Any:
        for piece in (b'{"history"', b': ["saw"', b"]}"):
            yield piece

    sent = shop.http.build_request("POST", PATH, content=pieces(), headers={**SHORT, "x-request-id": "one"})
    del sent.headers["transfer-encoding"]
    sent.headers["content-length"] = "20"
    assert told(await shop.http.send(sent)) == told(whole)


async def test_a_key_is_asked_for(tiny: TinyStore, tmp_path: Any) -> None:
    keys = "may-do-it-all:read,ingest,admin may-ingest-only:ingest"
    settings = make_settings(tiny.root, tmp_path / "data", api_keys=keys)
    async with running_service(settings, **{"x-api-key": "may-do-it-all"}) as shop:
        await shop.until_ready()
        await shop.serve(tiny.adapter)
        await shop.put_items({"saw": "a saw of steel"})
        for key, status in (("may-do-it-all", 200), ("may-ingest-only", 403), ("unknown-key", 401)):
            answers = [await post(shop, b'{"history": ["saw"]}', {**way, "x-api-key": key}) for way in (SHORT, LONG)]
            assert [answer.status_code for answer in answers] == [status, status]
            assert told(answers[0]) == told(answers[1])


async def test_a_body_too_large_is_refused(tiny: TinyStore, tmp_path: Any) -> None:
    settings = make_settings(tiny.root, tmp_path / "data", max_body_bytes=1024)
    async with running_service(settings) as shop:
        await shop.until_ready()
        await shop.serve(tiny.adapter)
        answers = [await post(shop, b'{"history": ["' + b"x" * 2000 + b'"]}', way) for way in (SHORT, LONG)]
        assert [answer.status_code for answer in answers] == [413, 413]
        assert told(answers[0]) == told(answers[1])
