"""JSON as text, with odd numbers, half characters, doubled keys, depths: read as the standard says, or refused."""

import json
from json import JSONDecodeError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequestError
from service.items.bulk import BulkEntry, read_bulk
from service.json_route import parse_json
from tests.fuzz.strategies import json_values

LINES = "application/x-ndjson"
MARK = b"\xef\xbb\xbf"  # that spreadsheets put before UTF-8

_NUMBERS = ["0", "-0", "-0.0", "1E+2", "1e-999", "1e308", "1e400", "9" * 400, "-" + "9" * 5000, "0." + "1" * 5000]
_NO_NUMBERS = ["NaN", "-Infinity", "Infinity", "01", "+1", ".5", "1.", "0x1", "1_000", "--1", "1e", "\u0661"]
_STRINGS = [r'"\ud83d\udd28"', r'"\u0000"', '"\u2028"', '"\u202e"', r'"\/"', '"\ufeff"', '"\ufffe"']
_NO_STRINGS = [r'"\ud83d"', r'"\udd28\ud83d"', '"\t"', "'a'", r'"\x41"', r'"\u12"', '"a', "a", '"\0"']
_ODD = st.sampled_from(
    [*_NUMBERS, *_NO_NUMBERS, *_STRINGS, *_NO_STRINGS, "", "nul", "True", "undefined", "// a", "\ufeff1"]
)
_DEEP = st.integers(1, 400).flatmap(
    lambda depth: st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
)
_KEYS = st.sampled_from(['"item_id"', '"text"', '"attributes"', '"a"', r'"\u0061"', '""', r'"\ud83d"', "a"])
_BLANKS = st.sampled_from(["", " ", "\t", "\r", "\u00a0", "\f"])


def texts() -> st.SearchStrategy[str]:
    """Texts that are JSON, or nearly."""
    return st.recursive(
        json_values().map(json.dumps) | _ODD | _DEEP,
        lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]") | objects(inner),
        max_leaves=5,
    )


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(_KEYS, values, _BLANKS), max_size=4)
    return pairs.map(lambda found: "{" + ",".join(f"{key}:{blank}{value}" for key, value, blank in found) + "}")


def test_what_is_read_is_what_the_standard_says() -> None:
    outcomes = {True: 0, False: 0}

    @given(texts())
    def agree(text: str) -> None:
        outcomes[is_json(text)] += 1
        if is_json(text):  # Python's reader takes more: NaN, and half characters
            assert same(parse_json(text.encode()), json.loads(text))

    agree()
    assert min(outcomes.values()) > 10, outcomes


@given(
    st.lists(texts() | objects(texts()), max_size=4), st.sampled_from(["\n", "\r\n", "\n\n", " \n\t"]), st.booleans()
)
def test_a_bulk_is_read_whole_as_its_lines_are_or_not_at_all(parts: list[str], feed: str, marked: bool) -> None:
    lines = [part for part in parts if part.strip(" \t\r\n")]
    raw = MARK * marked + feed.join(parts).encode()
    if all(map(is_json, lines)):
        entries = read_bulk(raw, LINES, max_items=8)
        assert entries == [
            entry for line in lines for entry in read_bulk(b"[" + line.encode() + b"]", "application/json", 1)
        ]
        assert all(can_be_sent(entry) for entry in entries)
    else:
        with pytest.raises(BadRequestError, match=r"line \d+ is not JSON"):
            read_bulk(raw, LINES, max_items=8)


def is_json(text: str) -> bool:
    try:
        parse_json(text.encode())
    except JSONDecodeError:
        return False
    return True


def can_be_sent(entry: BulkEntry) -> bool:
    told = [entry.item_id or "", entry.error or "", entry.record.model_dump_json() if entry.record else ""]
    return all(part.encode().decode() == part for part in told)


def same(one: Any, other: Any) -> bool:
    """Whether two readers understood the same, 1, 1.0 and true told apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other
