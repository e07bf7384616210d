"""Who may do what, over REST."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from starlette.types import Message

from service.security.keys import digest_of
from tests.running_service import RunningService, make_settings, running_service, until
from tests.service.guarded_service import BOUND, BULKY, HISTORY, LONG, SHORT, SLOW, guarded_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

CALLS = [
    ("GET", "/v1/domains", "read"),
    ("GET", "/v1/domains/shop", "read"),
    ("POST", "/v1/domains/shop/recommendations", "read"),
    ("POST", "/v1/domains/shop/recommendations:batch", "read"),
    ("GET", "/v1/domains/shop/items/a/similar", "read"),
    ("GET", "/v1/domains/shop/items/a", "read"),
    ("PUT", "/v1/domains/shop/items/a", "ingest"),
    ("PATCH", "/v1/domains/shop/items/a", "ingest"),
    ("DELETE", "/v1/domains/shop/items/a", "ingest"),
    ("POST", "/v1/domains/shop/items:bulk", "ingest"),
    ("PUT", "/v1/admin/domains/shop/adapter", "admin"),
    ("POST", "/v1/admin/domains/shop/adapter:rollback", "admin"),
    ("GET", "/v1/admin/operations/x", "admin"),
    ("DELETE", "/v1/admin/domains/shop", "admin"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def guarded(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningService]:
    async with guarded_service(tiny, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "unknown-key"},
        {"x-api-key": "reader-key:read"},
        {"x-api-key": "", "authorization": "Bearer "},
        {"authorization": "Basic reader-key"},
        {"authorization": "reader-key"},
        {"authorization": "Bearer reader-key x"},
        {"x-api-key": digest_of("reader-key").hex()},
    ],
)
async def test_without_a_valid_key_nothing_is_answered(guarded: RunningService, headers: dict[str, str]) -> None:
    answer = await guarded.http.get("/v1/domains?api_key=reader-key&key=reader-key", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unknown-key" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": "reader-key"}, {"authorization": "bearer ingest-key"}, {"authorization": f"Bearer {BOUND}"}],
)
async def test_a_key_is_taken_from_either_header(guarded: RunningService, headers: dict[str, str]) -> None:
    assert (await guarded.http.get("/v1/domains", headers=headers)).status_code == 200


def call(method: str, path: str) -> dict[str, Any]:
    """What this call may send, so that nothing but its key is wrong with it."""
    if method in ("GET", "DELETE") or path.endswith(":rollback"):
        return {}
    if path.endswith("/adapter"):
        return {"json": {"source": "x"}}
    bodies = {"/recommendations": HISTORY, ":batch": {"requests": [HISTORY]}, ":bulk": []}
    body: Any = next((body for suffix, body in bodies.items() if path.endswith(suffix)), {"text": "a"})
    return {"json": {"available": True} if method == "PATCH" else body}


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_each_call_asks_for_its_scope(guarded: RunningService, method: str, path: str, scope: str) -> None:
    lesser = {"read": None, "ingest": "reader-key", "admin": "ingest-key"}[scope]
    sufficient = {"read": "reader-key", "ingest": "ingest-key", "admin": "admin-key"}[scope]
    headers = {"x-api-key": lesser} if lesser else {}
    refused = await guarded.http.request(method, path, headers=headers, **call(method, path))
    assert refused.status_code == (403 if lesser else 401)
    allowed = await guarded.http.request(method, path, headers={"x-api-key": sufficient}, **call(method, path))
    assert allowed.status_code not in (401, 403)


@pytest.mark.parametrize(("method", "path", "scope"), [each for each in CALLS if "/domains/" in each[1]])
async def test_a_key_for_some_domains_is_for_no_other(
    guarded: RunningService, method: str, path: str, scope: str
) -> None:
    for content_type in (SHORT, LONG):
        headers = {"x-api-key": BOUND, "content-type": content_type}
        here = await guarded.http.request(method, path, headers=headers, **call(method, path))
        assert here.status_code not in (401, 403)
        for other in ("other", "nowhere", "Shop", "sh%6fp2", "%6fther"):
            elsewhere = path.replace("/shop", f"/{other}", 1)
            answer = await guarded.http.request(method, elsewhere, headers=headers, **call(method, elsewhere))
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:vqrec:problem:forbidden")
            assert answer.json()["detail"] == "this API key is for other domains"


async def test_a_key_for_some_domains_hears_of_no_other(guarded: RunningService) -> None:
    for key, seen in ((BOUND, []), ("reader-key", ["other"])):
        listed = (await guarded.http.get("/v1/domains", headers={"x-api-key": key})).json()["domains"]
        assert [domain["domain"] for domain in listed] == seen
    location = guarded.http.headers["x-the-operation"]
    answers = [await guarded.http.get(location, headers={"x-api-key": key}) for key in (BOUND, "admin-key")]
    assert [answer.status_code for answer in answers] == [404, 200]
    made_up = await guarded.http.get("/v1/admin/operations/none", headers={"x-api-key": BOUND})
    assert answers[0].json()["detail"] == made_up.json()["detail"].replace("none", location.rpartition("/")[2])


async def test_beyond_its_rate_a_key_is_told_when_to_come_again(guarded: RunningService) -> None:
    headers = {"x-api-key": SLOW}
    path = "/v1/domains/other/recommendations"
    for content_type in (SHORT, LONG):
        answer = await guarded.http.post(path, json=HISTORY, headers={**headers, "content-type": content_type})
        assert answer.status_code == 200
    batch = await guarded.http.post(f"{path}:batch", json={"requests": [HISTORY] * 5}, headers=headers)
    assert batch.status_code == 200  # it was let in with the last one, and four are owed
    for content_type in (SHORT, LONG):
        answer = await guarded.http.post(path, json=HISTORY, headers={**headers, "content-type": content_type})
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:vqrec:problem:rate-limited")
        assert 480 <= int(answer.headers["retry-after"]) <= 500
    other = await guarded.http.post(path, json=HISTORY, headers={"x-api-key": "reader-key"})
    assert other.status_code == 200
    metrics = (await guarded.http.get("/metrics")).text
    assert 'vqrec_key_requests_total{key="slow",outcome="accepted"} 3.0' in metrics
    assert 'vqrec_key_requests_total{key="slow",outcome="limited"} 2.0' in metrics


async def test_what_a_bulk_holds_is_owed(guarded: RunningService) -> None:
    path, headers = "/v1/domains/other/items:bulk", {"x-api-key": BULKY}
    answers = [await guarded.http.post(path, json=["no item"] * 4, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert 380 <= int(answers[1].headers["retry-after"]) <= 400


@pytest.mark.parametrize("content_type", [SHORT, LONG])
@pytest.mark.parametrize("path", ["/v1/domains/other/recommendations", "/v1/domains/other/items:bulk"])
async def test_of_who_may_not_no_body_is_read(guarded: RunningService, path: str, content_type: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode()), (b"content-length", b"20"), (b"x-api-key", b"unknown")],
        "client": ("127.0.0.1", 1),
        "server": ("service", 80),
    }
    await guarded.app(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_no_key_is_in_any_log_line_metric_or_answer(
    guarded: RunningService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    keys = ["reader-key", BOUND, SLOW, "unknown-secret-key", "unknown secret", "x" * 2000, "schl\xfcssel"]
    answers: list[httpx.Response] = []
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for key in keys:
            value = key.encode("latin-1")
            ways: list[list[tuple[bytes, bytes]]] = [
                [(b"x-api-key", value)],
                [(b"authorization", b"Bearer " + value)],
                [(b"authorization", b"bearer  " + value + b" ")],
                [(b"authorization", b"Basic " + value)],
                [(b"authorization", value)],
                [(b"x-api-key", value), (b"x-api-key", b"other"), (b"authorization", b"Bearer other")],
            ]
            for headers in ways:
                for method, path, _ in CALLS:
                    if method != "DELETE":
                        sent = guarded.http.build_request(method, path, headers=headers, **call(method, path))  # type: ignore[arg-type]
                        answers.append(await guarded.http.send(sent))
    told = [str(lines), (await guarded.http.get("/metrics")).text, (await guarded.http.get("/readyz")).text]
    told += [caplog.text, *(answer.text + str(answer.headers) for answer in answers)]
    assert {answer.status_code for answer in answers} >= {200, 401, 403, 429}
    assert "'key': 'bound'" in told[0]
    for key in keys:
        for shown in (key, digest_of(key).hex(), repr(digest_of(key))):
            assert not any(shown in text for text in told), key


async def test_keys_are_exchanged_while_the_service_runs(tiny: TinyStore, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    await asyncio.to_thread(file.write_text, "first-key:read")
    settings = make_settings(tiny.root, tmp_path / "data", api_keys_file=file)

    async with running_service(settings) as running:

        async def status(key: str | None) -> int:
            headers = {"x-api-key": key} if key else {}
            return (await running.http.get("/v1/domains", headers=headers)).status_code

        async def health() -> str:
            return (await running.http.get("/readyz")).text

        await running.until_ready()
        assert (await status("first-key"), await status("other-key")) == (200, 401)
        await asyncio.to_thread(file.write_text, "other-key:read")

        async def exchanged() -> bool:
            return await status("other-key") == 200

        await until(exchanged)
        assert await status("first-key") == 401
        await asyncio.to_thread(file.write_text, "# nobody\n")

        async def told() -> bool:
            return "VQREC_API_KEYS_FILE is set, but names no key" in await health()

        await until(told)
        assert '"degraded"' in await health()
        assert "\nvqrec_faults 1.0" in (await running.http.get("/metrics")).text
        assert (await status("other-key"), await status("first-key"), await status(None)) == (200, 401, 401)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_health_asks_for_no_key(guarded: RunningService, path: str) -> None:
    assert (await guarded.http.get(path)).status_code == 200
