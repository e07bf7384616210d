"""CSV has no types: a column of attributes is what all its values can be read as."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator

from training.readers.mixed_columns import Kind
from training.readers.source import AttributeValue, ItemRow

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_WITH_COMMA = re.compile(r"[+-]?([0-9]{1,3}([.,][0-9]{3})+|[0-9]+)([.,][0-9]+)?")  # 12,50 and 1.234,50 and 1,234.50
_LIKE_007 = re.compile(r"[+-]?0[0-9]+")  # a code and no number
_BOOLEANS = {"true": True, "false": False}


def typed_rows(rows: Iterable[ItemRow], fixed: Collection[str]) -> Iterator[ItemRow]:
    """The rows, each column outside ``fixed`` as bool, int or float where every value of it is one, else as strings."""
    collected = list(rows)
    names = {name for row in collected for name in row}.difference(fixed)
    converters = {name: _converter(name, collected) for name in names}
    for row in collected:
        yield {name: converters[name](value) if name in converters else value for name, value in row.items()}


def kind_by_spelling(value: AttributeValue) -> Kind | None:
    """The kind of a cell; None for digits that make no number, which also stand among such as do."""
    text = str(value)
    if _LIKE_007.fullmatch(text):
        return None
    if text.lower() in _BOOLEANS:
        return "boolean"
    if _is_float(text):
        return "number"
    return "12,50" if _WITH_COMMA.fullmatch(text) else "text"


def _converter(name: str, rows: list[ItemRow]) -> Callable[[AttributeValue], AttributeValue]:
    values = [str(row[name]) for row in rows if name in row]
    if all(value.lower() in _BOOLEANS for value in values):
        return lambda value: _BOOLEANS[str(value).lower()]
    if all(_INTEGER.fullmatch(value) for value in values):
        return lambda value: int(str(value))
    if all(_is_float(value) for value in values):
        return lambda value: float(str(value))
    return lambda value: value


def _is_float(value: str) -> bool:
    try:
        return math.isfinite(float(value)) and "_" not in value and not _LIKE_007.fullmatch(value)
    except ValueError:
        return False
