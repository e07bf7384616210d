"""Bad input of every kind is answered 4xx with a problem that says what is wrong, and changes nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import MANIFEST
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_backbone, write_tiny_store

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
SHOP = "/v1/domains/shop"
RECOMMEND = f"{SHOP}/recommendations"
ITEM = f"{SHOP}/items/hammer"
BULK = f"{SHOP}/items:bulk"
ADAPTER_URL = "/v1/admin/domains/shop/adapter"


@dataclass(frozen=True)
class Bad:
    """A request, the status it deserves and words that the problem must hold."""

    method: str
    path: str
    body: bytes | object = None
    status: int = 422
    says: str = ""
    headers: dict[str, str] = field(default_factory=lambda: JSON)

    @property
    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


RECOMMENDING = {
    "unknown domain": Bad("POST", "/v1/domains/nowhere/recommendations", {"history": ["a"]}, 404, "nowhere"),
    "domain name that cannot be": Bad(
        "POST", "/v1/domains/No%20Shop/recommendations", {"history": ["a"]}, says="domain"
    ),
    "no body": Bad("POST", RECOMMEND, says="body"),
    "broken JSON": Bad("POST", RECOMMEND, b'{"history": ["a"', 400, "not JSON"),
    "not UTF-8": Bad("POST", RECOMMEND, b'{"history": ["\xff"]}', 400, "not JSON"),
    "half a surrogate": Bad("POST", RECOMMEND, b'{"history": [{"text": "\\ud800"}]}', 400, "not JSON"),
    "endless nesting": Bad("POST", RECOMMEND, b"[" * 100_000, 400, "not JSON"),
    "NaN": Bad("POST", RECOMMEND, b'{"history": ["a"], "limit": NaN}', 400, "not JSON"),
    "Infinity in a filter": Bad(
        "POST", RECOMMEND, b'{"history": ["a"], "filter": {"price": {"lte": 1e999}}}', says="finite"
    ),
    "a form": Bad("POST", RECOMMEND, b"history=a", 415, "application/json", {"content-type": "text/plain"}),
    "an array": Bad("POST", RECOMMEND, ["a"], says="body"),
    "empty history": Bad("POST", RECOMMEND, {"history": []}, says="history is empty"),
    "no history": Bad("POST", RECOMMEND, {}, says="history"),
    "history of 10,000": Bad("POST", RECOMMEND, {"history": ["a"] * 10_000}, says="1000"),
    "history of numbers": Bad("POST", RECOMMEND, {"history": [1, 2]}, says="body.history.0"),
    "history that is a string": Bad("POST", RECOMMEND, {"history": "a"}, says="list"),
    "history with an endless text": Bad("POST", RECOMMEND, {"history": [{"text": "x" * 1_000_000}]}, says="20000"),
    "limit of zero": Bad("POST", RECOMMEND, {"history": ["a"], "limit": 0}, says="limit"),
    "absurd limit": Bad("POST", RECOMMEND, {"history": ["a"], "limit": 10**30}, says="limit"),
    "limit that is a string": Bad("POST", RECOMMEND, {"history": ["a"], "limit": "10"}, says="limit"),
    "malformed filter": Bad("POST", RECOMMEND, {"history": ["a"], "filter": {"price": {"below": 3}}}, says="filter"),
    "filter that is a list": Bad("POST", RECOMMEND, {"history": ["a"], "filter": ["price"]}, says="filter"),
    "unknown field": Bad("POST", RECOMMEND, {"history": ["a"], "limitt": 3}, says="limitt"),
    "unknown fallback": Bad("POST", RECOMMEND, {"history": ["a"], "fallback": "random"}, says="fallback"),
    "batch of nothing": Bad("POST", f"{RECOMMEND}:batch", {"requests": []}, says="requests"),
    "similar to an unknown item": Bad("GET", f"{SHOP}/items/unknown/similar", None, 404, "unknown"),
    "history with a text that nobody can read": Bad(
        "POST", RECOMMEND, {"history": [{"text": "\u200b\0\u2028"}]}, says="no readable character"
    ),
    "similar without limit": Bad("GET", f"{SHOP}/items/hammer/similar?limit=many", says="limit"),
}

ITEMS = {
    "unknown domain": Bad("PUT", "/v1/domains/nowhere/items/a", {"text": "a"}, 404, "nowhere"),
    "no text": Bad("PUT", ITEM, {"attributes": {}}, says="no text"),
    "white space as text": Bad("PUT", ITEM, {"text": " \n "}, says="no text"),
    "text of 1 MB": Bad("PUT", ITEM, {"text": "x" * 1_000_000}, says="20000"),
    "text that nobody can read": Bad("PUT", ITEM, {"text": "\u200b\0"}, says="no readable character"),
    "text that is a number": Bad("PUT", ITEM, {"text": 3}, says="body.text"),
    "another id than the path's": Bad("PUT", ITEM, {"item_id": "saw", "text": "a"}, says="item_id"),
    "id with a control character": Bad("PUT", f"{SHOP}/items/a%00b", {"text": "a"}, 400, "control"),
    "id with a later control character": Bad("PUT", f"{SHOP}/items/a%C2%80b", {"text": "a"}, says="control"),
    "delete of an id and a line feed": Bad("DELETE", f"{ITEM}%0A", None, 400, "control"),
    "delete of an id that is not UTF-8": Bad("DELETE", f"{SHOP}/items/x%FF", None, 400, "UTF-8"),
    "id that is not UTF-8": Bad("PUT", f"{SHOP}/items/x%FF", {"text": "a"}, 400, "UTF-8"),
    "id with half a surrogate": Bad("PUT", f"{SHOP}/items/%ED%A0%80", {"text": "a"}, 400, "UTF-8"),
    "compressed body": Bad("PUT", ITEM, {"text": "a"}, 415, "'gzip'", {**JSON, "content-encoding": "identity, GZIP"}),
    "body that is not UTF-8": Bad(
        "PUT", ITEM, {"text": "a"}, 415, "'latin-1'", {"content-type": 'application/json; charset="Latin-1"'}
    ),
    "id of 300 characters": Bad("PUT", f"{SHOP}/items/{'a' * 300}", {"text": "a"}, says="256"),
    "NaN as attribute": Bad("PUT", ITEM, b'{"text": "a", "attributes": {"price": NaN}}', 400, "not JSON"),
    "infinite attribute": Bad("PUT", ITEM, b'{"text": "a", "attributes": {"price": 1e999}}', says="finite"),
    "object as attribute": Bad("PUT", ITEM, {"text": "a", "attributes": {"size": {"x": 1}}}, says="attributes.size"),
    "null as attribute": Bad("PUT", ITEM, {"text": "a", "attributes": {"size": None}}, says="attributes.size"),
    "attribute that is too long": Bad("PUT", ITEM, {"text": "a", "attributes": {"a": "x" * 1001}}, says="1000"),
    "too many attributes": Bad(
        "PUT", ITEM, {"text": "a", "attributes": {str(number): 1 for number in range(65)}}, says="64"
    ),
    "attribute without a name": Bad("PUT", ITEM, {"text": "a", "attributes": {"": 1}}, says="attributes"),
    "unknown field": Bad("PUT", ITEM, {"text": "a", "colour": "red"}, says="colour"),
    "availability that is a string": Bad("PUT", ITEM, {"text": "a", "available": "yes"}, says="available"),
    "empty patch": Bad("PATCH", ITEM, {}, says="attributes"),
    "patch of the text": Bad("PATCH", ITEM, {"text": "other"}, says="text"),
    "patch of an unknown item": Bad("PATCH", f"{SHOP}/items/unknown", {"available": False}, 404, "unknown"),
    "get of an unknown item": Bad("GET", f"{SHOP}/items/unknown", None, 404, "unknown"),
    "delete of an unknown item": Bad("DELETE", f"{SHOP}/items/unknown", None, 404, "unknown"),
    "patch to too many attributes": Bad(
        "PATCH", ITEM, {"attributes": {str(number): 1 for number in range(65)}}, says="64"
    ),
}

BULKS = {
    "broken line in the middle": Bad(
        "POST",
        BULK,
        b'{"item_id": "n1", "text": "a"}\n{"item_id": \n{"item_id": "n2", "text": "b"}',
        400,
        "line 2",
        NDJSON,
    ),
    "broken array": Bad("POST", BULK, b'[{"item_id": "n1", "text": "a"}, ', 400, "not JSON"),
    "an object": Bad("POST", BULK, {"item_id": "n1", "text": "a"}, 400, "array"),
    "nothing": Bad("POST", BULK, b"", 400, "not JSON"),
    "a spreadsheet": Bad("POST", BULK, b"item_id,text\nn1,a", 415, "text/csv", {"content-type": "text/csv"}),
    "compressed bulk": Bad("POST", BULK, [], 415, "'br'", {**JSON, "content-encoding": "br"}),
    "bulk in another charset": Bad(
        "POST", BULK, [], 415, "utf-16", {"content-type": "application/x-ndjson; charset=UTF-16"}
    ),
    "too many items": Bad("POST", BULK, [{"item_id": "n1", "text": "a"}] * 101, 413, "100"),
    "too many bytes": Bad(
        "POST", BULK, b'[{"item_id": "n1", "text": "a"}]' + b" " * 2_000_000, 413, "payload-too-large"
    ),
}

ADMIN = {
    "no source": Bad("PUT", ADAPTER_URL, {}, says="source"),
    "empty source": Bad("PUT", ADAPTER_URL, {"source": ""}, says="source"),
    "source that is nowhere": Bad("PUT", ADAPTER_URL, {"source": "adapters/shop/0123456789ab"}, 404, "no artifact"),
    "escaping source": Bad("PUT", ADAPTER_URL, {"source": "../../etc"}, says="lead out"),
    "absolute source": Bad("PUT", ADAPTER_URL, {"source": "/etc"}, says="lead out"),
    "source with a null byte": Bad("PUT", ADAPTER_URL, {"source": "adapters/\0"}, says="path"),
    "URL that is not allowed": Bad("PUT", ADAPTER_URL, {"source": "file:///etc"}, says="VQREC_ADAPTER_URL_PREFIXES"),
    "sha256 that is none": Bad("PUT", ADAPTER_URL, {"source": "adapters/shop/x", "sha256": "abc"}, says="sha256"),
    "domain name and a line feed": Bad("DELETE", "/v1/admin/domains/shop%0A", None, 400, "control"),
    "domain name that cannot be": Bad("PUT", "/v1/admin/domains/A%20B/adapter", {"source": "x"}, says="domain"),
    "dry_run that is a string": Bad("PUT", ADAPTER_URL, {"source": "x", "dry_run": "yes"}, says="dry_run"),
    "rollback of what never changed": Bad("POST", f"{ADAPTER_URL}:rollback", None, 409, "no adapter before"),
    "rollback of an unknown domain": Bad("POST", "/v1/admin/domains/nowhere/adapter:rollback", None, 404, "nowhere"),
    "unknown operation": Bad("GET", "/v1/admin/operations/none", None, 404, "none"),
    "operation of no such form": Bad("GET", "/v1/admin/operations/no.pe%20%F0%9F%94%A8", None, 404, "no.pe"),
    "operation too long": Bad("GET", f"/v1/admin/operations/{'x' * 65}", None, 422, "operation_id"),
    "delete of an unknown domain": Bad("DELETE", "/v1/admin/domains/nowhere", None, 404, "nowhere"),
}

ELSEWHERE = {
    "unknown path": Bad("GET", "/v1/nothing", None, 404, "nothing"),
    "wrong method": Bad("DELETE", "/livez", None, 405, "DELETE"),
    "path that is a file": Bad("GET", "/../../etc/passwd", None, 404, "nothing"),
}

CASES = {
    f"{group}: {name}": case
    for group, cases in (
        ("recommend", RECOMMENDING),
        ("items", ITEMS),
        ("bulk", BULKS),
        ("admin", ADMIN),
        ("elsewhere", ELSEWHERE),
    )
    for name, case in cases.items()
}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[RunningService, TinyStore]]:
    store = write_tiny_store(tmp_path / "artifacts")
    settings = make_settings(store.root, tmp_path / "data", max_bulk_items=100, max_body_bytes=1_500_000)
    async with running_service(settings) as service:
        await service.serve(store.adapter)
        await service.put_items({"hammer": "claw hammer", "saw": "hand saw"})
        yield service, store


async def state_of(service: RunningService) -> list[Any]:
    """Everything that could have changed: in Redis and in memory."""
    redis = service.state.redis
    details = (await service.http.get(SHOP)).json()
    return [
        details,
        await redis.run(redis.commands.hgetall("vqrec:{shop}:items")),
        await redis.run(redis.commands.hgetall("vqrec:{shop}:adapter")),
        await redis.run(redis.commands.hgetall("vqrec:domains")),
        await redis.run(redis.commands.xlen("vqrec:{shop}:changes")),
    ]


async def check(service: RunningService, case: Bad) -> None:
    before = await state_of(service)
    answer = await service.http.request(case.method, case.path, content=case.content, headers=case.headers)
    assert answer.status_code == case.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == case.status
    assert problem["type"].startswith("urn:vqrec:problem:")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert case.says in json.dumps(problem, ensure_ascii=False)
    assert len(answer.content) < 10_000
    assert await state_of(service) == before


@pytest.mark.parametrize("name", CASES)
async def test_bad_input_is_refused_and_changes_nothing(shop: tuple[RunningService, TinyStore], name: str) -> None:
    await check(shop[0], CASES[name])


async def test_an_adapter_with_a_wrong_sha256(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    body = {"source": f"adapters/shop/{other.version}", "sha256": "0" * 64}
    await check(service, Bad("PUT", ADAPTER_URL, body, 409, "0" * 64))


async def test_an_adapter_for_another_backbone(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(7))
    other = write_tiny_adapter(store, seed=1, backbone=backbone)
    case = Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 409, backbone.version)
    await check(service, case)
    detail = (await service.http.put(ADAPTER_URL, json=case.body)).json()["detail"]
    assert store.backbone.version in detail
    assert "vqrec adapt --backbone" in detail


async def test_a_backbone_that_is_missing_is_named_by_its_place_below_the_root(
    shop: tuple[RunningService, TinyStore],
) -> None:
    service, store = shop
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(7))
    other = write_tiny_adapter(store, seed=1, backbone=backbone)
    backbone.path.rename(store.root / "elsewhere")
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    for source in (f"adapters/shop/{other.version}", "adapters/shop"):
        problem = (await service.http.put(ADAPTER_URL, json={"source": source})).json()
        assert problem["type"].endswith(("artifact-not-found", "invalid-artifact"))
        assert str(store.root) not in json.dumps(problem)
    missing = await service.http.put(ADAPTER_URL, json={"source": f"adapters/shop/{other.version}"})
    assert f"no artifact {backbone.version} in backbones:" in missing.json()["detail"]


async def test_an_adapter_with_a_missing_file(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    (other.path / "adapter.safetensors").unlink()
    await check(
        service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "adapter.safetensors")
    )


async def test_an_adapter_with_a_changed_byte(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    tensors = other.path / "adapter.safetensors"
    raw = bytearray(tensors.read_bytes())
    raw[-1] ^= 1
    tensors.write_bytes(raw)
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "damaged"))


async def test_an_adapter_with_a_broken_manifest(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    (other.path / MANIFEST).write_text("{}")
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "manifest"))


async def test_a_link_that_leads_out_of_the_artifact_root(
    shop: tuple[RunningService, TinyStore], tmp_path: Path
) -> None:
    service, store = shop
    (store.root / "adapters" / "link").symlink_to(tmp_path)
    await check(service, Bad("PUT", ADAPTER_URL, {"source": "adapters/link"}, 422, "lead out"))


async def test_a_backbone_in_the_place_of_an_adapter(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"backbones/{store.backbone.version}"}, 409, "backbone"))


async def test_an_expected_version_that_is_not_there(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    source = f"adapters/shop/{store.adapter.version}"
    await check(
        service, Bad("PUT", ADAPTER_URL, {"source": source, "expected_version": "0" * 12}, 409, store.adapter.version)
    )
    await check(service, Bad("PUT", ADAPTER_URL, {"source": source, "expected_version": None}, 409, "no such domain"))


async def test_a_bulk_stores_the_good_and_reports_the_bad(shop: tuple[RunningService, TinyStore]) -> None:
    service, _ = shop
    items = [{"item_id": "new", "text": "new"}, {"item_id": "bad"}, 7, {"text": "nameless"}]
    answer = (await service.http.post(BULK, json=items)).json()
    assert [result["status"] for result in answer["results"]] == ["created", "invalid", "invalid", "invalid"]
    assert "no text" in answer["results"][1]["error"]
    assert (answer["created"], answer["invalid"]) == (1, 3)


async def test_a_body_without_length_is_cut_off_while_it_streams(shop: tuple[RunningService, TinyStore]) -> None:
    service, _ = shop
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"[" + b" " * 100_000

    answer = await service.http.post(BULK, content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert sent < 20
