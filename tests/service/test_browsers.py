"""What keeps the pages of other sites out, and answers out of browsers and caches."""

from collections.abc import AsyncIterator

import httpx
import pytest

from service.edge.refusals import Refusal
from service.errors import OverloadedError
from tests.running_service import RunningService, make_settings, running_service
from tests.service.guarded_service import HISTORY, LONG, SHORT, guarded_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

WRITES = [
    ("POST", "/v1/domains/shop/items:bulk"),
    ("DELETE", "/v1/domains/shop/items/a"),
    ("POST", "/v1/admin/domains/shop/adapter:rollback"),
    ("DELETE", "/v1/admin/domains/shop"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def guarded(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningService]:
    async with guarded_service(tiny, tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture(scope="module")
async def keyless(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningService]:
    async with running_service(make_settings(tiny.root, tmp_path_factory.mktemp("keyless"))) as running:
        await running.until_ready()
        yield running


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/domains", 401),
        ("POST", "/v1/domains/other/recommendations", 401),
        ("GET", "/nothing", 404),
        ("PUT", "/livez", 405),
        ("GET", "/%ff", 400),
    ],
)
async def test_every_answer_tells_browsers_and_caches_to_leave_it_alone(
    guarded: RunningService, method: str, path: str, status: int
) -> None:
    answer = await guarded.http.request(method, path)
    assert answer.status_code == status
    assert_guarded_headers(answer.headers)


async def test_so_do_answers_of_both_ways_and_of_the_edge(guarded: RunningService) -> None:
    for content_type in (SHORT, LONG):
        headers = {"x-api-key": "reader-key", "content-type": content_type}
        answer = await guarded.http.post("/v1/domains/other/recommendations", json=HISTORY, headers=headers)
        assert answer.status_code == 200
        assert_guarded_headers(answer.headers)
    refused = Refusal("full", OverloadedError("full")).answer("/", "id", [], closes=True, has_body=False)
    assert_guarded_headers(httpx.Headers([line.split(b": ", 1) for line in refused.split(b"\r\n")[1:-2]]))


def assert_guarded_headers(headers: httpx.Headers) -> None:
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "http://service:8001"},
        {"origin": "null"},
        {"origin": "http://rebound.example:8000", "host": "rebound.example:8000"},
        {"sec-fetch-site": "same-origin", "host": "rebound.example:8000"},
        {"sec-fetch-site": "same-origin", "host": "[::1"},
    ],
)
async def test_without_keys_a_page_of_another_site_changes_nothing(
    keyless: RunningService, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await keyless.http.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:vqrec:problem:cross-site")


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://LocalHost:8000", "host": "localhost:8000"},
        {"sec-fetch-site": "same-origin", "host": "[::1]:8000"},
    ],
)
async def test_without_keys_whoever_is_no_other_site_may_do_everything(
    keyless: RunningService, method: str, path: str, headers: dict[str, str]
) -> None:
    assert (await keyless.http.request(method, path, headers=headers)).status_code in (400, 404)


async def test_with_a_key_the_site_is_not_asked_for(guarded: RunningService) -> None:
    headers = {"x-api-key": "admin-key", "origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert (await guarded.http.delete("/v1/admin/domains/shop", headers=headers)).status_code == 404
