"""Figures over seeds ─► a table, the best of each column marked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.evaluation.seeds import Spread
from training.report.document import Cell, Table

_NOTHING = "–"


def decimals(count: int) -> Callable[[float], str]:
    """Writes numbers with so many decimals, and commas between thousands."""
    return lambda value: f"{value:,.{count}f}"


def percent(count: int) -> Callable[[float], str]:
    """Writes parts of one in percent, with so many decimals."""
    return lambda value: f"{100 * value:.{count}f} %"


def share_of_one(value: float) -> str:
    """A chosen share in percent, with as many digits as it takes: 0.05 is 5 %, 0.005 is 0.5 %."""
    return f"{100 * value:.4g} %"


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Args:
        head: its name.
        write: a number as it is shown.
        marked: whether the largest mean is the best, and to be marked.
        spread: whether the deviation is shown; a figure of the data itself has none that means anything.
    """

    head: str
    write: Callable[[float], str]
    marked: bool = False
    spread: bool = True


@dataclass(frozen=True)
class Row:
    """What names a row, and its figures, one a column; None where there is none."""

    labels: tuple[str, ...]
    values: tuple[Spread | None, ...]


def figure_table(label_heads: Sequence[str], columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A table with ``label_heads`` over the labels of ``rows``. Nothing is best where there is nothing beside it."""
    best = [
        _largest([row.values[place] for row in rows]) if column.marked else None for place, column in enumerate(columns)
    ]
    cells = [
        (
            *(Cell(label) for label in row.labels),
            *(_cell(value, column, top) for value, column, top in zip(row.values, columns, best, strict=True)),
        )
        for row in rows
    ]
    return Table((*label_heads, *(column.head for column in columns)), tuple(cells))


def _largest(values: Sequence[Spread | None]) -> float | None:
    means = [value.mean for value in values if value is not None]
    return max(means) if len(means) > 1 else None


def _cell(value: Spread | None, column: Column, best: float | None) -> Cell:
    if value is None:
        return Cell(_NOTHING)
    deviation = f" ± {column.write(value.deviation)}" if column.spread and value.deviation is not None else ""
    return Cell(column.write(value.mean) + deviation, value.mean == best)
