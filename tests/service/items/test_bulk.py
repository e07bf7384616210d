"""The body of a bulk, read whole before anything is stored."""

import asyncio

import pytest

from service.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from service.items.bulk import MAX_PARTS, BulkReader, read_bulk

LINES = b'{"item_id": "a", "text": "one"}\n\n  \r\n{"item_id": "b", "text": "two"}\r\n'
ARRAY = b'[{"item_id": "a", "text": "one"}, {"item_id": "b", "text": "two"}]'


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (LINES, "application/x-ndjson"),
        (LINES, "application/x-ndjson; charset=utf-8"),
        (LINES, ""),
        (ARRAY, "application/json"),
        (b"\n " + ARRAY, ""),
        (b"\xef\xbb\xbf" + ARRAY, "application/json"),
        (b"\xef\xbb\xbf" + LINES, ""),
    ],
)
def test_both_forms_say_the_same(raw: bytes, content_type: str) -> None:
    entries = read_bulk(raw, content_type, max_items=2)
    assert [(entry.item_id, entry.record.text if entry.record else None) for entry in entries] == [
        ("a", "one"),
        ("b", "two"),
    ]


def test_a_broken_line_is_named() -> None:
    with pytest.raises(BadRequestError, match=r"line 4 is not JSON.*nothing was stored"):
        read_bulk(b'{"item_id": "a", "text": "one"}\n\n\n{"item_id"\n{}', "application/x-ndjson", 10)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"item_id": "a"}', b"[NaN]", b'["\\ud800"]'])
def test_a_body_that_is_no_array(raw: bytes) -> None:
    with pytest.raises(BadRequestError):
        read_bulk(raw, "application/json", 10)


def test_a_bulk_has_a_limit() -> None:
    with pytest.raises(PayloadTooLargeError, match="send it in parts"):
        read_bulk(LINES, "", max_items=1)


@pytest.mark.parametrize("part", [b"{},", b"[],"])
def test_a_bulk_holds_so_many_objects_and_lists(part: bytes) -> None:
    whole = b'[{"item_id": "a", "text": "one", "attributes": {"x": [' + part * (MAX_PARTS - 4)
    (entry,) = read_bulk(whole + b"0]}}]", "application/json", 1)
    assert (entry.item_id, entry.record) == ("a", None)
    with pytest.raises(PayloadTooLargeError, match="objects and lists, and this one holds more: send it in parts"):
        read_bulk(whole + b"{}, 0]}}]", "application/json", 1)


@pytest.mark.anyio
async def test_a_small_bulk_does_not_wait_for_a_large_one() -> None:
    reader = BulkReader(max_items=10)
    async with reader.turn:
        large = asyncio.create_task(reader.read(ARRAY + b" " * (1 << 20), "application/json"))
        assert len(await reader.read(ARRAY, "application/json")) == 2
        assert not large.done()
    assert len(await large) == 2


def test_another_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="text/csv"):
        read_bulk(b"a,b", "text/csv", 10)


@pytest.mark.parametrize(
    ("line", "item_id", "says"),
    [
        (b"5", None, "object"),
        (b'{"text": "nameless"}', None, "item_id"),
        (b'{"item_id": "a"}', "a", "no text"),
        (b'{"item_id": "a", "text": "one", "price": 3}', "a", "price"),
        (b'{"item_id": 7, "text": "one"}', None, "item_id"),
        (b'{"item_id": "a", "text": "one", "attributes": {"price": 1e999}}', "a", "attributes.price"),
    ],
)
def test_what_is_no_item_is_reported_and_not_fatal(line: bytes, item_id: str | None, says: str) -> None:
    bad, good = read_bulk(line + b'\n{"item_id": "b", "text": "two"}', "", 10)
    assert (bad.item_id, bad.record) == (item_id, None)
    assert bad.error is not None
    assert says in bad.error
    assert good.record is not None
