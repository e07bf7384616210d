"""CSV has no types: a column of attributes is what all its values can be read as."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator

from training.readers.source import AttributeValue, ItemRow

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")  # not 007, which is a code and no number
_BOOLEANS = {"true": True, "false": False}


def typed_rows(rows: Iterable[ItemRow], fixed: Collection[str]) -> Iterator[ItemRow]:
    """The rows, each column outside ``fixed`` as bool, int or float where every value of it is one, else as strings."""
    collected = list(rows)
    names = {name for row in collected for name in row}.difference(fixed)
    converters = {name: _converter(name, collected) for name in names}
    for row in collected:
        yield {name: converters[name](value) if name in converters else value for name, value in row.items()}


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
        return math.isfinite(float(value)) and not re.fullmatch(r"[+-]?0[0-9]+", value)
    except ValueError:
        return False
