"""Bodies of bulks of any bytes: each is refused whole or read whole, line by line or as an array alike."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from service.items.bulk import BulkEntry, read_bulk
from tests.fuzz.strategies import item_ids, items, json_values

ARRAY, LINES = "application/json", "application/x-ndjson"
MOST = 8

TYPES = st.sampled_from(["", ARRAY, LINES, "application/jsonl; charset=utf-8", "text/csv", ";", "application/JSON"])
NAMED = st.builds(lambda item_id, item: {"item_id": item_id, **item}, item_ids(), items())
VALUES = st.lists(NAMED | json_values(), max_size=MOST)


@given(VALUES)
def test_lines_and_an_array_say_the_same(values: list[Any]) -> None:
    entries = read_bulk(json.dumps(values).encode(), ARRAY, MOST)
    assert len(entries) == len(values)
    for form in (as_lines(values), b"\n\r\n" + as_lines(values).replace(b"\n", b"\r\n \n")):
        assert read_bulk(form, LINES, MOST) == entries
    assert all(whole(entry) for entry in entries)


@given(st.binary(max_size=200), TYPES)
def test_any_bytes_are_read_or_refused(raw: bytes, content_type: str) -> None:
    check(raw, content_type)


@given(VALUES, st.booleans(), TYPES, st.data())
def test_a_damaged_bulk_is_read_or_refused(
    values: list[Any], lines: bool, content_type: str, data: st.DataObject
) -> None:
    raw = bytearray(as_lines(values) if lines else json.dumps(values, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(bytes(raw), content_type)


@given(VALUES, st.integers(1, MOST))
def test_one_item_too_many_refuses_them_all(values: list[Any], most: int) -> None:
    raw = as_lines(values)
    if len(values) > most:
        with pytest.raises(PayloadTooLargeError):
            read_bulk(raw, LINES, most)
    else:
        assert len(read_bulk(raw, LINES, most)) == len(values)


def check(raw: bytes, content_type: str) -> None:
    try:
        entries = read_bulk(raw, content_type, MOST)
    except (BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError) as error:
        assert error.detail
    else:
        assert all(whole(entry) for entry in entries)


def whole(entry: BulkEntry) -> bool:
    """Whether an entry is an item that can be stored, or says what is wrong with it."""
    if entry.record is None:
        return bool(entry.error)
    return entry.error is None and entry.item_id is not None and bool(entry.record.text)


def as_lines(values: list[Any]) -> bytes:
    return b"\n".join(json.dumps(value, ensure_ascii=False).encode() for value in values)
