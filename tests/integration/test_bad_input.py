"""Bad input of every kind is answered 4xx with a problem that says what is wrong, and changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.bad_requests import ADAPTER_URL, JSON, SHOP, Bad, check
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import write_tiny_store

pytestmark = pytest.mark.anyio

NDJSON = {"content-type": "application/x-ndjson"}
RECOMMEND = f"{SHOP}/recommendations"
ITEM = f"{SHOP}/items/hammer"
BULK = f"{SHOP}/items:bulk"

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
async def shop(tmp_path: Path) -> AsyncIterator[RunningService]:
    store = write_tiny_store(tmp_path / "artifacts")
    settings = make_settings(store.root, tmp_path / "data", max_bulk_items=100, max_body_bytes=1_500_000)
    async with running_service(settings) as service:
        await service.serve(store.adapter)
        await service.put_items({"hammer": "claw hammer", "saw": "hand saw"})
        yield service


@pytest.mark.parametrize("name", CASES)
async def test_bad_input_is_refused_and_changes_nothing(shop: RunningService, name: str) -> None:
    await check(shop, CASES[name])


async def test_a_bulk_stores_the_good_and_reports_the_bad(shop: RunningService) -> None:
    items = [{"item_id": "new", "text": "new"}, {"item_id": "bad"}, 7, {"text": "nameless"}]
    answer = (await shop.http.post(BULK, json=items)).json()
    assert [result["status"] for result in answer["results"]] == ["created", "invalid", "invalid", "invalid"]
    assert "no text" in answer["results"][1]["error"]
    assert (answer["created"], answer["invalid"]) == (1, 3)


async def test_a_body_without_length_is_cut_off_while_it_streams(shop: RunningService) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"[" + b" " * 100_000

    answer = await shop.http.post(BULK, content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert sent < 20
