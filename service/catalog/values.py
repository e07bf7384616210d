"""The distinct values of one attribute: each kept as the JSON it came as, and compared once for all its items."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.catalog.filters import Condition
from service.catalog.filters import Values as WantedValues
from service.catalog.ids import Ids, Slots, distinct
from service.catalog.item import AttributeValue
from service.catalog.strings import Numbers, Strings

Mask = npt.NDArray[np.bool_]

NONE = 0
"""The number of no value, which an item has that lacks the attribute."""

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, eq=False)
class Values:
    """Values by number, from 1 on.

    Args:
        texts: each as JSON, which tells 1 from 1.0, from true and from "1"; an empty text for ``NONE``.
        double_owners, doubles: int32 [p], float64 [p]: the values that are numbers.
        list_owners, list_labels: int32 [q], int32 [q]: the values that are lists, a pair for each of their strings.
        labels: the strings that stand in lists, as JSON.
    """

    texts: Ids
    double_owners: Slots
    doubles: npt.NDArray[np.float64]
    list_owners: Slots
    list_labels: Slots
    labels: Ids

    @classmethod
    def of(cls, values: dict[str, AttributeValue]) -> "Values":
        """Values by their :func:`json_of`; the first has the number 1."""
        labels: dict[str, int] = {}
        numbers, pairs = [], []
        for owner, value in enumerate(values.values(), start=1):
            if isinstance(value, list):
                pairs += [(owner, labels.setdefault(_to_json(label), len(labels))) for label in dict.fromkeys(value)]
            elif not isinstance(value, str | bool):
                numbers.append((owner, _double(value)))
        return cls(
            Ids.of(["", *values]),
            np.array([owner for owner, _ in numbers], dtype=np.int32),
            np.array([number for _, number in numbers], dtype=np.float64),
            np.array([owner for owner, _ in pairs], dtype=np.int32),
            np.array([label for _, label in pairs], dtype=np.int32),
            Ids.of(list(labels)),
        )

    @classmethod
    def merge(cls, parts: Sequence[tuple["Values", Mask]]) -> tuple["Values", list[Slots]]:
        """The distinct values of several parts.

        Args:
            parts: each with which of its values are used, bool [len(part)], ``NONE`` among them. Others are left behind
                here, or what no item has any more would pile up for ever.

        Returns:
            the values, and of each part the new number of each of its values, ``NONE`` for those left behind.
        """
        texts, renumbered, first = _merge_strings([(part.texts, np.flatnonzero(used)) for part, used in parts])
        owned = list(zip([part for part, _ in parts], first, renumbered, strict=True))
        # A value that several parts have belongs to the one that has it first.
        lists = [part.list_owners[own[part.list_owners]] for part, own, _ in owned]
        own_labels = [part.list_labels[own[part.list_owners]] for part, own, _ in owned]
        labels, new_labels, _ = _merge_strings(
            [
                (part.labels, _occurring(found, len(part.labels)))
                for (part, _), found in zip(parts, own_labels, strict=True)
            ]
        )
        merged = cls(
            texts,
            _joined([new[part.double_owners[own[part.double_owners]]] for part, own, new in owned]),
            np.concatenate([np.zeros(0), *(part.doubles[own[part.double_owners]] for part, own, _ in owned)]),
            _joined([new[owners] for (_, _, new), owners in zip(owned, lists, strict=True)]),
            _joined([new[found] for new, found in zip(new_labels, own_labels, strict=True)]),
            labels,
        )
        return merged, renumbered

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def nbytes(self) -> int:
        arrays = (self.double_owners, self.doubles, self.list_owners, self.list_labels)
        return self.texts.nbytes + self.labels.nbytes + sum(array.nbytes for array in arrays)

    def value(self, number: int) -> AttributeValue:
        """A value as it came; raises IndexError for none."""
        if number == NONE:
            raise IndexError("an item without the attribute has no value of it")
        value: AttributeValue = json.loads(self.texts[number])
        return value

    def fulfilling(self, condition: Condition) -> Mask:
        """The values that fulfil ``condition``, ``NONE`` among them if it does: bool [len(self)]."""
        mask = np.ones(len(self), dtype=np.bool_)
        if condition.any is not None:
            mask &= self._counts(condition.any) > 0
        if condition.all is not None:
            mask &= self._counts(condition.all) == len(condition.all)
        if condition.none is not None:
            mask &= self._counts(condition.none) == 0
        if condition.has_bounds:
            inside = np.zeros(len(self), dtype=np.bool_)
            inside[self.double_owners[_within(self.doubles, condition)]] = True
            mask &= inside
        return mask

    def _counts(self, wanted: WantedValues) -> npt.NDArray[np.int32]:
        """How many of the wanted values each value is or holds: int32 [len(self)]."""
        counts = np.zeros(len(self), dtype=np.int32)
        texts = [_to_json(label) for label in wanted.labels]
        scalars = self.texts.find(texts)
        counts[scalars[scalars >= 0]] += 1
        counts[self.double_owners[np.isin(self.doubles, list(wanted.numbers))]] += 1
        if len(self.list_owners):
            held = np.zeros(len(self.labels), dtype=np.bool_)
            labels = self.labels.find(texts)
            held[labels[labels >= 0]] = True
            np.add.at(counts, self.list_owners[held[self.list_labels]], 1)
        return counts


def json_of(value: AttributeValue) -> str:
    """A value as JSON, the same for the same value."""
    return _to_json(value)


def _merge_strings(parts: Sequence[tuple[Ids, Numbers]]) -> tuple[Ids, list[Slots], list[Mask]]:
    """Distinct strings out of some of each part.

    Returns:
        them in the order in which they come first; of each part the new number of each of its strings, 0 for those left
        out; and of each part which of its strings come first there.
    """
    if not any(len(chosen) for _, chosen in parts):
        nothing = np.zeros(0, dtype=np.int32)
        return Ids.of([]), [nothing] * len(parts), [np.zeros(len(part), dtype=np.bool_) for part, _ in parts]
    strings = Strings.gather([(part.strings, chosen) for part, chosen in parts])
    hashes = np.concatenate([np.zeros(0, np.int64), *(part.by_slot()[chosen] for part, chosen in parts)])
    first, which = distinct(strings, hashes)
    is_first = np.zeros(len(strings), dtype=np.bool_)
    is_first[first] = True
    numbers: list[Slots] = []
    owned: list[Mask] = []
    start = 0
    for part, chosen in parts:
        end = start + len(chosen)
        number, own = np.zeros(len(part), dtype=np.int32), np.zeros(len(part), dtype=np.bool_)
        number[chosen], own[chosen] = which[start:end], is_first[start:end]
        numbers.append(number)
        owned.append(own)
        start = end
    return Ids.build(Strings.gather([(strings, first)]), hashes[first]), numbers, owned


def _occurring(numbers: Slots, size: int) -> npt.NDArray[np.int64]:
    """The different ones among numbers below ``size``, ascending."""
    occurs = np.zeros(size, dtype=np.bool_)
    occurs[numbers] = True
    return np.flatnonzero(occurs)


def _joined(arrays: Sequence[Slots]) -> Slots:
    return np.concatenate([np.zeros(0, np.int32), *arrays])


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
