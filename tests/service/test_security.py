"""Who may do what."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.security import ApiKeys
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore

KEYS = "reader-key:read ingest-key:read,ingest\nadmin-key:read,ingest,admin"


def test_keys_are_read_with_their_scopes_and_comments() -> None:
    keys = ApiKeys.parse("# of the shop\nreader-key:read  # the storefront\n\nwith:colon:read,ingest")
    assert keys.scopes_of("reader-key") == frozenset(["read"])
    assert keys.scopes_of("with:colon") == frozenset(["read", "ingest"])
    assert keys.scopes_of("another-key") is None


def test_a_key_is_not_shown() -> None:
    assert "reader-key" not in repr(ApiKeys.parse(KEYS))


@pytest.mark.parametrize("entry", ["secret-key", "secret-key:", "secret-key:write", "secret-key:read,", "short:read"])
def test_a_wrong_entry_is_named_without_the_key(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="number 2") as raised:
        ApiKeys.parse(f"fine-key:read {entry}")
    assert "secret" not in raised.value.detail


@pytest.fixture
async def guarded(tiny: TinyStore, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = make_settings(tiny.root, tmp_path / "data", api_keys=KEYS)
    async with running_service(settings) as running:
        await running.until_ready()
        yield running


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "unknown-key"}, {"authorization": "Basic reader-key"}])
async def test_without_a_valid_key_nothing_is_answered(guarded: RunningService, headers: dict[str, str]) -> None:
    answer = await guarded.http.get("/v1/domains", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unknown-key" not in answer.text


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{"x-api-key": "reader-key"}, {"authorization": "bearer ingest-key"}])
async def test_a_key_is_taken_from_either_header(guarded: RunningService, headers: dict[str, str]) -> None:
    assert (await guarded.http.get("/v1/domains", headers=headers)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
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
    ],
)
async def test_each_call_asks_for_its_scope(guarded: RunningService, method: str, path: str, scope: str) -> None:
    bodies = {"/recommendations": {"history": ["a"]}, ":batch": {"requests": [{"history": ["a"]}]}}
    body = next((body for suffix, body in bodies.items() if path.endswith(suffix)), {"text": "a"})
    content = {} if method in ("GET", "DELETE") or "rollback" in path else {"json": body}
    if "adapter" in path and content:
        content = {"json": {"source": "x"}}
    if method == "PATCH":
        content = {"json": {"available": True}}
    lesser = {"read": None, "ingest": "reader-key", "admin": "ingest-key"}[scope]
    sufficient = {"read": "reader-key", "ingest": "ingest-key", "admin": "admin-key"}[scope]
    refused = await guarded.http.request(method, path, headers={"x-api-key": lesser} if lesser else {}, **content)  # type: ignore[arg-type]
    assert refused.status_code == (403 if lesser else 401)
    allowed = await guarded.http.request(method, path, headers={"x-api-key": sufficient}, **content)  # type: ignore[arg-type]
    assert allowed.status_code not in (401, 403)


WRITES = [
    ("POST", "/v1/domains/shop/items:bulk"),
    ("DELETE", "/v1/domains/shop/items/a"),
    ("POST", "/v1/admin/domains/shop/adapter:rollback"),
    ("DELETE", "/v1/admin/domains/shop"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "http://service:8001"},
        {"origin": "null"},
    ],
)
async def test_without_keys_a_page_of_another_site_changes_nothing(
    service: RunningService, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await service.http.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:vqrec:problem:cross-site")


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin", "origin": "http://Service"}],
)
async def test_without_keys_whoever_is_no_other_site_may_do_everything(
    service: RunningService, method: str, path: str, headers: dict[str, str]
) -> None:
    assert (await service.http.request(method, path, headers=headers)).status_code in (400, 404)


@pytest.mark.anyio
async def test_with_a_key_the_site_is_not_asked_for(guarded: RunningService) -> None:
    headers = {"x-api-key": "admin-key", "origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert (await guarded.http.delete("/v1/admin/domains/shop", headers=headers)).status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_health_asks_for_no_key(guarded: RunningService, path: str) -> None:
    assert (await guarded.http.get(path)).status_code == 200
