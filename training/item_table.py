"""Items as rows ─► items as a table of one type a column, as ``items.parquet`` holds them."""

from collections.abc import Iterable, Sequence

import polars as pl

from training.readers.source import ITEM_COLUMNS, AttributeValue, ItemRow

_FIXED_TYPES: dict[str, pl.DataType] = {
    name: pl.List(pl.String()) if name == "categories" else pl.String() for name in ITEM_COLUMNS
}


def item_table(items: Iterable[ItemRow]) -> pl.DataFrame:
    """One row an item; columns: item_id, the text columns in use, the attributes in use, by name.

    Attributes whose values are of several types become numbers or lists where that loses nothing, else strings.
    """
    rows = list(items)
    used = {name for row in rows for name in row} | {"item_id"}
    fixed = [name for name in ITEM_COLUMNS if name in used]
    columns = {name: pl.Series(name, [row.get(name) for row in rows], _FIXED_TYPES[name]) for name in fixed}
    if "categories" in fixed:
        columns["categories"] = columns["categories"].fill_null([])
    for name in sorted(used.difference(ITEM_COLUMNS)):
        columns[name] = _attribute_column(name, [row.get(name) for row in rows])
    return pl.DataFrame(list(columns.values()))


def _attribute_column(name: str, values: Sequence[AttributeValue | None]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(name, values, pl.Boolean())
    largest = max((abs(value) for value in values if isinstance(value, int)), default=0)
    if kinds == {int} and largest < 1 << 63:
        return pl.Series(name, values, pl.Int64())
    if float in kinds and kinds <= {int, float} and largest <= 1 << 53:  # beyond it a float skips whole numbers
        numbers = [float(value) if isinstance(value, int | float) else None for value in values]
        return pl.Series(name, numbers, pl.Float64())
    if list in kinds:
        lists = [value if isinstance(value, list) or value is None else [str(value)] for value in values]
        return pl.Series(name, lists, pl.List(pl.String()))
    return pl.Series(name, [None if value is None else _spelled(value) for value in values], pl.String())


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
