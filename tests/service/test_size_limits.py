"""How large the parts of a request may be."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.catalog.filters import MAX_KEYS, MAX_TEXT, MAX_VALUES
from service.items.bulk import MAX_LINE_BYTES
from service.items.schemas import (
    MAX_ATTRIBUTE_LIST,
    MAX_ATTRIBUTE_TEXT,
    MAX_ATTRIBUTES,
    MAX_LISTED_TEXT,
    MAX_PATCHED,
)
from service.json_route import MAX_JSON_BYTES, MAX_JSON_PARTS
from service.recommend.schemas import MAX_EXCLUDED, MAX_HISTORY_ENTRIES, MAX_REQUESTS, MAX_TEXTS
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

DOMAIN = "/v1/domains/shop"
RECOMMEND, BATCH = f"{DOMAIN}/recommendations", f"{DOMAIN}/recommendations:batch"
BULK, SAW = f"{DOMAIN}/items:bulk", f"{DOMAIN}/items/saw"
MOST_BULK, MOST_BODY = 20, 9 << 20
TEXT = 20_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shop(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningService]:
    folder = tmp_path_factory.mktemp("limits")
    settings = make_settings(tiny.root, folder, max_bulk_items=MOST_BULK, max_body_bytes=MOST_BODY)
    async with running_service(settings) as running:
        await running.until_ready()
        await running.serve(tiny.adapter)
        await running.put_items({"saw": "a saw", "plane": "a plane"})
        yield running


Limit = tuple[Any, Any, str]
"""A body that is taken, one that is one beyond it, and a part of what is told then."""


def history(*entries: Any, **more: Any) -> dict[str, Any]:
    return {"history": list(entries) or ["saw"], **more}


def item(**attributes: Any) -> dict[str, Any]:
    return {"text": "a saw", "attributes": attributes}


def numbered(count: int, value: Any = 1) -> dict[str, Any]:
    return {f"a{number}": value for number in range(count)}


def lists(characters: int) -> dict[str, Any]:
    """Attributes whose lists hold so many characters."""
    words = [MAX_ATTRIBUTE_TEXT] * (characters // MAX_ATTRIBUTE_TEXT) + [characters % MAX_ATTRIBUTE_TEXT]
    return {"one": ["x" * length for length in words[:30]], "two": ["x" * length for length in words[30:]]}


OF_A_RECOMMENDATION: dict[str, Limit] = {
    "history": (
        history(*["saw"] * MAX_HISTORY_ENTRIES),
        history(*["saw"] * (MAX_HISTORY_ENTRIES + 1)),
        "body.history: List should have at most 1000 items",
    ),
    "id": (history("x" * 4096), history("x" * 4097), "body.history.0.item_id: String should have at most 4096"),
    "text": (
        history({"text": "x" * TEXT}),
        history({"text": "x" * (TEXT + 1)}),
        "body.history.0.text: String should have at most 20000",
    ),
    "excluded ids": (
        history(exclude_item_ids=["x"] * MAX_EXCLUDED),
        history(exclude_item_ids=["x"] * (MAX_EXCLUDED + 1)),
        "body.exclude_item_ids: List should have at most 10000",
    ),
    "excluded id": (
        history(exclude_item_ids=["x" * 4096]),
        history(exclude_item_ids=["x" * 4097]),
        "body.exclude_item_ids.0: String should have at most 4096",
    ),
    "limit": (history(limit=500), history(limit=501), "body.limit: Input should be less than or equal to 500"),
    "attributes of a filter": (
        history(filter=numbered(MAX_KEYS)),
        history(filter=numbered(MAX_KEYS + 1)),
        "body.filter: Dictionary should have at most 32 items",
    ),
    "values of a condition": (
        history(filter={"a": list(range(MAX_VALUES))}),
        history(filter={"a": list(range(MAX_VALUES + 1))}),
        "at most 1000 values in all",
    ),
    "one value many times": (
        history(filter={"a": [1] * MAX_VALUES}),
        history(filter={"a": [1] * (MAX_VALUES + 1)}),
        "at most 1000 values in all",
    ),
    "values of all conditions": (
        history(filter={"a": {"any": list(range(500)), "none": list(range(500))}}),
        history(filter={"a": {"any": list(range(500))}, "b": list(range(501))}),
        "at most 1000 values in all",
    ),
    "string of a filter": (
        history(filter={"a": "x" * MAX_TEXT}),
        history(filter={"a": "x" * (MAX_TEXT + 1)}),
        "a string of a filter may have 4096 characters",
    ),
    "name in a filter": (history(filter={"x" * 256: 1}), history(filter={"x" * 257: 1}), "at most 256 characters"),
    "fields": (history(), history(**numbered(40)), "body: the object has 41 fields, most of them unknown"),
    "fields of an entry": (
        history({"item_id": "saw"}),
        history({"item_id": "saw", **numbered(40)}),
        "body.history.0: the object has 41 fields",
    ),
}
OF_A_BATCH: dict[str, Limit] = {
    "requests": (
        {"requests": [history()] * MAX_REQUESTS},
        {"requests": [history()] * (MAX_REQUESTS + 1)},
        "body.requests: List should have at most 256",
    ),
    "texts": (
        {"requests": [history(*[{"text": "a saw"}] * (MAX_TEXTS // 4))] * 4},
        {"requests": [history(*[{"text": "a saw"}] * (MAX_TEXTS // 4 + 1))] * 4},
        "at most 1000 texts in all",
    ),
}
OF_AN_ITEM: dict[str, Limit] = {
    "text": ({"text": "x" * TEXT}, {"text": "x" * (TEXT + 1)}, "body.text: String should have at most 20000"),
    "title": ({"title": "x" * TEXT}, {"title": "x" * (TEXT + 1)}, "body.title: String should have at most 20000"),
    "categories": (
        {"categories": ["x"] * MAX_ATTRIBUTE_LIST},
        {"categories": ["x"] * (MAX_ATTRIBUTE_LIST + 1)},
        "at most 100 items",
    ),
    "attributes": (
        item(**numbered(MAX_ATTRIBUTES)),
        item(**numbered(MAX_ATTRIBUTES + 1)),
        "body.attributes: Dictionary should have at most 64 items",
    ),
    "name": (item(**{"x" * 64: 1}), item(**{"x" * 65: 1}), "at most 64 characters"),
    "string": (item(a="x" * MAX_ATTRIBUTE_TEXT), item(a="x" * (MAX_ATTRIBUTE_TEXT + 1)), "at most 1000 characters"),
    "list": (
        item(a=["x"] * MAX_ATTRIBUTE_LIST),
        item(a=["x"] * (MAX_ATTRIBUTE_LIST + 1)),
        "at most 100 such strings",
    ),
    "string of a list": (
        item(a=["x" * MAX_ATTRIBUTE_TEXT]),
        item(a=["x" * (MAX_ATTRIBUTE_TEXT + 1)]),
        "at most 1000 characters",
    ),
    "all lists together": (
        item(**lists(MAX_LISTED_TEXT)),
        item(**lists(MAX_LISTED_TEXT + 1)),
        "together may hold 50000 characters",
    ),
    "nested list": (item(a=["x"]), item(a=[["x"]]), "expected a string"),
    "nested object": (item(a="x"), item(a={"b": "x"}), "expected a string"),
    "fields": (item(), {"text": "a saw", **numbered(40)}, "the object has 41 fields"),
}
OF_A_PATCH: dict[str, Limit] = {
    "attributes": (
        {"attributes": numbered(MAX_PATCHED, None)},
        {"attributes": numbered(MAX_PATCHED + 1, None)},
        "body.attributes: Dictionary should have at most 128 items",
    ),
    "attributes of the item then": (
        {"attributes": numbered(MAX_ATTRIBUTES)},
        {"attributes": {"one-more": 1}},
        "an item may have 64 attributes",
    ),
    "lists of the item then": (
        {"attributes": lists(MAX_LISTED_TEXT)},
        {"attributes": {"one-more": ["x"]}},
        "together may hold 50000 characters",
    ),
}
LIMITS = [
    pytest.param(method, path, limit, id=f"{path.rpartition('/')[2]}-{what}")
    for method, path, limits in (
        ("POST", RECOMMEND, OF_A_RECOMMENDATION),
        ("POST", BATCH, OF_A_BATCH),
        ("PUT", SAW, OF_AN_ITEM),
        ("PATCH", SAW, OF_A_PATCH),
    )
    for what, limit in limits.items()
]


@pytest.mark.parametrize(("method", "path", "limit"), LIMITS)
async def test_what_is_at_a_limit_is_taken_and_what_is_beyond_is_refused(
    shop: RunningService, method: str, path: str, limit: Limit
) -> None:
    taken, refused, says = limit
    await shop.http.put(SAW, json={"text": "a saw"})
    answer = await shop.http.request(method, path, json=taken)
    assert answer.status_code == 200, answer.text[:300]
    answer = await shop.http.request(method, path, json=refused)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert len(answer.content) < 10_000


async def test_an_item_id_has_so_many_characters(shop: RunningService) -> None:
    for length, status in ((256, 201), (257, 422)):
        answer = await shop.http.put(f"{DOMAIN}/items/{'x' * length}", json={"text": "a saw"})
        assert answer.status_code == status
    assert "path.item_id: String should have at most 256" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_a_bulk_holds_so_many_items(shop: RunningService, content_type: str) -> None:
    for count, status in ((MOST_BULK, 200), (MOST_BULK + 1, 413)):
        items = [json.dumps({"item_id": "saw", "text": "a saw"}) for _ in range(count)]
        body = "\n".join(items) if content_type.endswith("ndjson") else f"[{','.join(items)}]"
        answer = await shop.http.post(BULK, content=body, headers={"content-type": content_type})
        assert answer.status_code == status
    assert f"a bulk may hold {MOST_BULK} items" in answer.json()["detail"]


async def test_a_line_has_so_many_bytes(shop: RunningService) -> None:
    head, tail = '{"item_id": "saw", "text": "', '"}'
    for size, status in ((MAX_LINE_BYTES, 200), (MAX_LINE_BYTES + 1, 413)):
        line = head + "x" * (size - len(head + tail)) + tail
        body = f'\n{{"item_id": "plane", "text": "a plane"}}\n{line}\n'
        answer = await shop.http.post(BULK, content=body, headers={"content-type": "application/x-ndjson"})
        assert answer.status_code == status
        if status == 200:  # the line was read, and its text is too long for an item
            assert [result["status"] for result in answer.json()["results"]] == ["unchanged", "invalid"]
    assert answer.json()["type"] == "urn:vqrec:problem:payload-too-large"
    assert f"line 3 has {MAX_LINE_BYTES + 1} bytes" in answer.json()["detail"]
    assert "nothing was stored" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "most"),
    [
        ("POST", BULK, b"[]", MOST_BODY),
        ("POST", RECOMMEND, b'{"history": ["saw"]}', MAX_JSON_BYTES),
        ("POST", BATCH, b'{"requests": [{"history": ["saw"]}]}', MAX_JSON_BYTES),
        ("PUT", SAW, b'{"text": "a saw"}', MAX_JSON_BYTES),
    ],
)
async def test_a_body_has_so_many_bytes(shop: RunningService, method: str, path: str, body: bytes, most: int) -> None:
    for size, status in ((most, 200), (most + 1, 413)):
        content = body + b" " * (size - len(body))
        for content_type in ("application/json", "application/json; charset=utf-8"):
            answer = await shop.http.request(method, path, content=content, headers={"content-type": content_type})
            assert answer.status_code == status
    assert answer.json()["type"] == "urn:vqrec:problem:payload-too-large"
    assert f"may have {most} bytes" in answer.json()["detail"]


async def test_a_body_has_so_many_objects_lists_and_keys(shop: RunningService) -> None:
    lists = [
        b'{"history": [' + b",".join([b"[]"] * (count - 2)) + b"]}" for count in (MAX_JSON_PARTS, MAX_JSON_PARTS + 1)
    ]
    keys = [
        b"{" + b",".join(b'"%d":1' % name for name in range(count)) + b"}"
        for count in (MAX_JSON_PARTS, MAX_JSON_PARTS + 1)
    ]
    for most, more in (lists, keys):
        for content_type in ("application/json", "application/json; charset=utf-8"):
            for content, status in ((most, 422), (more, 413)):
                answer = await shop.http.post(RECOMMEND, content=content, headers={"content-type": content_type})
                assert answer.status_code == status
        assert answer.json()["type"] == "urn:vqrec:problem:payload-too-large"
        assert f"may hold {MAX_JSON_PARTS} objects and lists, and as many keys" in answer.json()["detail"]


async def test_of_a_call_of_many_the_first_that_is_wrong_is_told(shop: RunningService) -> None:
    requests = [{"history": ["saw"]}, {"history": 1, "limit": 0}, *[{"history": [[]] * MAX_HISTORY_ENTRIES}] * 200]
    answer = await shop.http.post(BATCH, json={"requests": requests})
    assert answer.status_code == 422
    assert [fault["where"] for fault in answer.json()["errors"]] == ["body.requests.1.history", "body.requests.1.limit"]
