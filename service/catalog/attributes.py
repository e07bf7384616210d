"""The attributes of a segment's items by column, so that a filter is a few array operations over all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.catalog.filters import Condition, Filter, Values
from service.catalog.item import AttributeValue

Mask = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Column:
    """One attribute as postings: ``owners[i]`` is the slot of the item that has value ``i``.

    Args:
        labels: each string or boolean ─► its code.
        label_owners, label_codes: int32 [m]; a pair occurs once.
        number_owners: int32 [p].
        numbers: float64 [p].
    """

    labels: dict[str | bool, int]
    label_owners: Slots
    label_codes: npt.NDArray[np.int32]
    number_owners: Slots
    numbers: npt.NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, and about as many as the labels take."""
        arrays = (self.label_owners, self.label_codes, self.number_owners, self.numbers)
        return sum(array.nbytes for array in arrays) + sum(150 + len(str(label)) for label in self.labels)

    def matches(self, condition: Condition, size: int) -> Mask:
        """The items that fulfil ``condition``: bool [size]."""
        mask = np.ones(size, dtype=np.bool_)
        if condition.any is not None:
            mask &= self._having_any(condition.any, size)
        if condition.all is not None:
            counts = np.zeros(size, dtype=np.int64)
            for owners in self._owners(condition.all):
                counts += np.bincount(owners, minlength=size)
            mask &= counts == len(condition.all)
        if condition.none is not None:
            mask &= ~self._having_any(condition.none, size)
        if condition.has_bounds:
            inside = np.zeros(size, dtype=np.bool_)
            inside[self.number_owners[_within(self.numbers, condition)]] = True
            mask &= inside
        return mask

    def _having_any(self, values: Values, size: int) -> Mask:
        mask = np.zeros(size, dtype=np.bool_)
        for owners in self._owners(values):
            mask[owners] = True
        return mask

    def _owners(self, values: Values) -> tuple[Slots, Slots]:
        """The owners of the labels and of the numbers among ``values``, an item once for each value that it has."""
        wanted = np.zeros(len(self.labels), dtype=np.bool_)
        wanted[[self.labels[label] for label in values.labels if label in self.labels]] = True
        numbers = np.isin(self.numbers, list(values.numbers))
        return self.label_owners[wanted[self.label_codes]], self.number_owners[numbers]


@dataclass(frozen=True, eq=False)
class Attributes:
    """The columns of ``size`` items."""

    size: int
    columns: dict[str, Column]

    @classmethod
    def build(cls, items: Sequence[Mapping[str, AttributeValue]]) -> "Attributes":
        """Columns of the attributes of items, in the order of their slots."""
        builders: dict[str, _ColumnBuilder] = defaultdict(_ColumnBuilder)
        for slot, attributes in enumerate(items):
            for name, value in attributes.items():
                builders[name].add(slot, value)
        return cls(len(items), {name: builder.column() for name, builder in builders.items()})

    @classmethod
    def merge(cls, parts: Sequence[tuple["Attributes", Slots]], size: int) -> "Attributes":
        """Columns of ``size`` items out of several parts.

        Args:
            parts: each with the new slot of each of its items, int32 [part's size], -1 for those left out.
            size: how many items there are in the end.
        """
        found: dict[str, list[tuple[Column, Slots]]] = defaultdict(list)
        for attributes, new_slots in parts:
            for name, column in attributes.columns.items():
                found[name].append((column, new_slots))
        merged = {name: _merge_columns(columns) for name, columns in found.items()}
        kept = {name: column for name, column in merged.items() if len(column.label_owners) + len(column.number_owners)}
        return cls(size, kept)

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self.columns.values())

    def matches(self, wanted: Filter) -> Mask:
        """The items that fulfil every condition: bool [size]."""
        mask = np.ones(self.size, dtype=np.bool_)
        for name, condition in wanted.root.items():
            mask &= self.columns.get(name, _ABSENT).matches(condition, self.size)
        return mask


class _ColumnBuilder:
    def __init__(self) -> None:
        self._labels: dict[str | bool, int] = {}
        self._label_owners: list[int] = []
        self._label_codes: list[int] = []
        self._number_owners: list[int] = []
        self._numbers: list[float] = []

    def add(self, slot: int, value: AttributeValue) -> None:
        if isinstance(value, list):
            for label in dict.fromkeys(value):
                self._add_label(slot, label)
        elif isinstance(value, str | bool):
            self._add_label(slot, value)
        else:
            self._number_owners.append(slot)
            self._numbers.append(_double(value))

    def _add_label(self, slot: int, label: str | bool) -> None:
        self._label_owners.append(slot)
        self._label_codes.append(self._labels.setdefault(label, len(self._labels)))

    def column(self) -> Column:
        return Column(
            self._labels,
            np.array(self._label_owners, dtype=np.int32),
            np.array(self._label_codes, dtype=np.int32),
            np.array(self._number_owners, dtype=np.int32),
            np.array(self._numbers, dtype=np.float64),
        )


_ABSENT = _ColumnBuilder().column()


def _merge_columns(parts: Sequence[tuple[Column, Slots]]) -> Column:
    labels: dict[str | bool, int] = {}
    label_owners, label_codes, number_owners, numbers = [], [], [], []
    for column, new_slots in parts:
        owners = new_slots[column.label_owners]
        used, positions = np.unique(column.label_codes[owners >= 0], return_inverse=True)
        # Labels that no item has any more are left behind here, or they would pile up for ever.
        old_labels = list(column.labels)
        new_codes = [labels.setdefault(old_labels[code], len(labels)) for code in used]
        label_owners.append(owners[owners >= 0])
        label_codes.append(np.array(new_codes, dtype=np.int32)[positions])
        owners = new_slots[column.number_owners]
        number_owners.append(owners[owners >= 0])
        numbers.append(column.numbers[owners >= 0])
    return Column(
        labels,
        np.concatenate(label_owners),
        np.concatenate(label_codes),
        np.concatenate(number_owners),
        np.concatenate(numbers),
    )


def _within(numbers: npt.NDArray[np.float64], condition: Condition) -> Mask:
    inside = ~np.isnan(numbers)
    if condition.gt is not None:
        inside &= numbers > condition.gt
    if condition.gte is not None:
        inside &= numbers >= condition.gte
    if condition.lt is not None:
        inside &= numbers < condition.lt
    if condition.lte is not None:
        inside &= numbers <= condition.lte
    return inside


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the doubles lies above or below every bound that can be asked for
        return float("inf") if value > 0 else float("-inf")
