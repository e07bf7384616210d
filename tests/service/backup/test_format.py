"""A line says of an item what Redis holds, byte by byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.backup.format import ItemLine

codes = st.dictionaries(st.text("0123456789abcdef", min_size=64, max_size=64), st.binary(max_size=40), max_size=2)
lines = st.builds(ItemLine, st.binary(max_size=40), st.binary(max_size=80), st.none() | st.binary(max_size=80), codes)


@given(lines | st.builds(ItemLine, st.binary(max_size=40), st.none()))
def test_an_item_of_any_octets_is_read_as_it_was_written(line: ItemLine) -> None:
    raw = line.to_json()
    assert raw.count(b"\n") == 1
    assert ItemLine.parse(raw) == line


def test_a_line_can_be_read_without_us() -> None:
    document = json.loads(ItemLine("größe".encode(), b'1-1\n{"text":"a"}', b"\0\1", {"c" * 64: b"\2"}).to_json())
    assert document["item_id"] == "größe"
    assert json.loads(document["value"].partition("\n")[2]) == {"text": "a"}
    assert document["vector"] == "AAE="


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"item_id"',
        b"{}",
        b'{"item_id":1,"value":""}',
        b'{"item_id":"a"}',
        b'{"item_id":"a","value":null}',
        b'{"item_id":"a","deleted":false}',
        b'{"item_id":"a","deleted":true,"value":""}',
        b'{"item_id":"a","value":"","more":1}',
        b'{"item_id":"a","value":"","vector":"="}',
        b'{"item_id":"a","value":"","vector":7}',
        b'{"item_id":"a","value":"","codes":[]}',
        b'{"item_id":"a","value":"","codes":{"../x":""}}',
    ],
)
def test_what_is_no_line_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ItemLine.parse(raw)
