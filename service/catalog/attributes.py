"""The attributes of a segment's items by column, so that a filter is a few array operations over all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cached_property, lru_cache, partial
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from service.catalog.filters import Condition, Filter
from service.catalog.ids import Slots
from service.catalog.item import AttributeValue
from service.catalog.strings import Numbers
from service.catalog.values import NONE, Mask, Values, json_of

__all__ = ["Attributes", "AttributesBuilder", "Column", "Mask", "Slots"]

ValueNumbers = npt.NDArray[np.integer[Any]]

_FEW = 6  # values up to which comparing with each is faster than looking all of them up
_CHUNK = 1 << 15
_MASKS = 8  # a byte an item each


@dataclass(frozen=True, eq=False)
class Column:
    """One attribute: each item's value by its number.

    Args:
        numbers: [n] of the smallest integers that hold them; ``NONE`` for an item without the attribute.
        values: what they mean.
    """

    numbers: ValueNumbers
    values: Values

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes + self.values.nbytes

    def matches(self, condition: Condition) -> Mask:
        """The items that fulfil ``condition``: bool [n]."""
        fulfilling = self.values.fulfilling(condition)
        chosen = np.flatnonzero(fulfilling)
        if len(chosen) <= _FEW:
            return self._having(chosen)
        if len(fulfilling) - len(chosen) <= _FEW:
            return ~self._having(np.flatnonzero(~fulfilling))
        mask = np.empty(len(self.numbers), dtype=np.bool_)
        # numpy makes the numbers eight bytes wide: let that stay in the cache
        for start in range(0, len(mask), _CHUNK):
            numbers = self.numbers[start : start + _CHUNK]
            np.take(fulfilling, numbers, mode="clip", out=mask[start : start + _CHUNK])  # none is out of range
        return mask

    def _having(self, chosen: npt.NDArray[np.int64]) -> Mask:
        mask = np.zeros(len(self.numbers), dtype=np.bool_)
        for number in chosen:
            mask |= self.numbers == self.numbers.dtype.type(number)
        return mask


@dataclass(frozen=True, eq=False)
class Attributes:
    """The columns of ``size`` items."""

    size: int
    columns: dict[str, Column]

    @classmethod
    def build(cls, items: Sequence[Mapping[str, AttributeValue]]) -> "Attributes":
        """Columns of the attributes of items, in the order of their slots."""
        builder = AttributesBuilder()
        for attributes in items:
            builder.add(attributes)
        return builder.attributes()

    @classmethod
    def gather(cls, parts: Sequence[tuple["Attributes", Numbers]]) -> "Attributes":
        """The attributes of these items of each part, one part behind the other."""
        names = dict.fromkeys(name for attributes, _ in parts for name in attributes.columns)
        merged = {name: _merge([(part.columns.get(name), slots) for part, slots in parts]) for name in names}
        size = sum(len(slots) for _, slots in parts)
        return cls(size, {name: column for name, column in merged.items() if len(column.values) > 1})

    def ordered(self, order: Numbers) -> "Attributes":
        """The same items, each once, in another order."""
        columns = {name: Column(column.numbers[order], column.values) for name, column in self.columns.items()}
        return Attributes(self.size, columns)

    @property
    def nbytes(self) -> int:
        masks = self._remembered.cache_info().currsize * self.size
        return masks + sum(column.nbytes for column in self.columns.values())

    def of(self, slot: int) -> dict[str, AttributeValue]:
        """The attributes of one item, each value as it came."""
        numbers = ((name, column, int(column.numbers[slot])) for name, column in self.columns.items())
        return {name: column.values.value(number) for name, column, number in numbers if number != NONE}

    def matches(self, wanted: Filter) -> Mask:
        """The items that fulfil every condition: bool [size], which may not be written to.

        Shops ask for the same few filters again and again: the last ones are remembered.
        """
        return self._remembered(wanted)

    @cached_property
    def _remembered(self) -> "_lru_cache_wrapper[Mask]":
        return lru_cache(_MASKS)(partial(_matching, self.columns, self.size))


class AttributesBuilder:
    """Columns of items that come one after the other. Values are Python objects here: build in parts, then gather."""

    def __init__(self) -> None:
        self._size = 0
        self._columns: dict[str, _ColumnBuilder] = defaultdict(_ColumnBuilder)

    def add(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add the attributes of the next item."""
        for name, value in attributes.items():
            self._columns[name].add(self._size, value)
        self._size += 1

    def attributes(self) -> Attributes:
        """What was added."""
        return Attributes(self._size, {name: builder.column(self._size) for name, builder in self._columns.items()})


class _ColumnBuilder:
    def __init__(self) -> None:
        self._known: dict[object, int] = {}
        self._values: dict[str, AttributeValue] = {}
        self._slots: list[int] = []
        self._numbers: list[int] = []

    def add(self, slot: int, value: AttributeValue) -> None:
        key = (str, value) if isinstance(value, str) else _key(value)
        number = self._known.get(key)
        if number is None:
            self._values[json_of(value)] = value
            number = self._known[key] = len(self._values)
        self._slots.append(slot)
        self._numbers.append(number)

    def column(self, size: int) -> Column:
        numbers = np.full(size, NONE, dtype=_number_type(len(self._values) + 1))
        numbers[self._slots] = self._numbers
        return Column(numbers, Values.of(self._values))


_ABSENT = Values.of({})


def _matching(columns: Mapping[str, Column], size: int, wanted: Filter) -> Mask:
    mask = np.ones(size, dtype=np.bool_)
    for name, condition in wanted.root.items():
        column = columns.get(name)
        if column is not None:
            mask &= column.matches(condition)
        elif not _ABSENT.fulfilling(condition)[NONE]:
            mask[:] = False
    mask.flags.writeable = False
    return mask


def _key(value: bool | float | list[str]) -> object:
    """What tells values apart as JSON does: to a dict 1 is 1.0 and True, 0.0 is -0.0, and NaN is not NaN."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, float) and (value == 0 or isnan(value)):
        return repr(value)
    return value.__class__, value


def _merge(parts: Sequence[tuple[Column | None, Numbers]]) -> Column:
    found = [None if column is None else (column.values, column.numbers[slots]) for column, slots in parts]
    used = []
    for values, numbers in filter(None, found):
        is_used = np.zeros(len(values), dtype=np.bool_)
        is_used[numbers] = True
        is_used[NONE] = True
        used.append((values, is_used))
    merged_values, renumbered = Values.merge(used)
    merged = np.full(sum(len(slots) for _, slots in parts), NONE, dtype=_number_type(len(merged_values)))
    end, following = 0, iter(renumbered)
    for part, (_, slots) in zip(found, parts, strict=True):
        if part is not None:
            merged[end : end + len(slots)] = next(following).astype(merged.dtype)[part[1]]
        end += len(slots)
    return Column(merged, merged_values)


def _number_type(count: int) -> type[np.integer[Any]]:
    return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.int32
