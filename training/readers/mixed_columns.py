"""Columns of attributes of which most values are meant as numbers, or as true and false, but not all are: text."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.readers.bad_rows import BadRows
from training.readers.source import ITEM_COLUMNS, AttributeValue, ItemRow

Kind = Literal["number", "boolean", "text", "12,50"]
"""Of a value. ``12,50``: meant as a number, and written as no program reads it."""

_MOST_SHOWN = 40  # characters of a value


@dataclass
class _Column:
    """How often a kind of value occurs, and where first: line and value."""

    counts: Counter[Kind] = field(default_factory=Counter)
    first: dict[Kind, tuple[int, AttributeValue]] = field(default_factory=dict)

    def add(self, kind: Kind, line: int, value: AttributeValue) -> None:
        self.counts[kind] += 1
        self.first.setdefault(kind, (line, value))


def noting_mixed_columns(
    rows: Iterable[tuple[int, ItemRow]],
    kind_of: Callable[[AttributeValue], Kind | None],
    path: Path,
    bad_rows: BadRows,
) -> Iterator[ItemRow]:
    """The rows without their lines; at their end a note for each column whose few values make text of the many.

    Args:
        rows: line and item.
        kind_of: the kind of a value; None for one that may stand among any others.
        path: of the file.
        bad_rows: gets the notes.
    """
    columns: dict[str, _Column] = {}
    for line, row in rows:
        for name, value in row.items():
            if name not in ITEM_COLUMNS and (kind := kind_of(value)) is not None:
                columns.setdefault(name, _Column()).add(kind, line, value)
        yield row
    for name, column in columns.items():
        total = column.counts.total()
        if 2 * (column.counts["number"] + column.counts["12,50"]) > total:
            meant, what_to_do = "number", "Write a number such as 12.50, or nothing"
        elif 2 * column.counts["boolean"] > total:
            meant, what_to_do = "boolean", "Write true, false or nothing"
        else:
            continue
        others = [first for kind, first in column.first.items() if kind != meant]
        if others:
            line, value = min(others, key=lambda first: first[0])
            bad_rows.note(
                f"{path}:{line}: {name} is {str(value)[:_MOST_SHOWN]!r} there, and no {meant} in "
                f"{sum(column.counts[kind] for kind in column.counts if kind != meant)} of {total} items: all of them "
                f"are kept as text, and no filter by {meant} finds them. {what_to_do}"
            )


def kind_by_type(value: AttributeValue) -> Kind | None:
    """The kind of a value that has a type; a list may stand among values that it could hold."""
    if isinstance(value, list):
        return None
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"
