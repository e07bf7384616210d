"""A user's own tables: Parquet, CSV (or TSV) and JSON Lines, the latter two gzipped or not."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import polars as pl

from models.item_text import TEXT_FIELDS
from training.errors import DataError, RowError
from training.readers.bad_rows import BadRows
from training.readers.csv_header import check_names, check_separator, read_header
from training.readers.csv_types import kind_by_spelling, typed_rows
from training.readers.lines import read_lines
from training.readers.mixed_columns import kind_by_type, noting_mixed_columns
from training.readers.source import INTERACTION_COLUMNS, ITEM_COLUMNS, Interaction, ItemRow
from training.readers.values import parse_interaction, parse_item, parse_json_object

_KIND_OF_TABLE = re.compile(r"\.(parquet|csv|tsv|jsonl|ndjson)(\.gz)?$", re.IGNORECASE)
_ROWS_AT_A_TIME = 1 << 16

R = TypeVar("R")
Cells = dict[str, object]


@dataclass(frozen=True)
class TableSource:
    """Two tables. Items: ``item_id`` and ``text`` or title, brand, categories, description; any further column is an
    attribute. Interactions: ``user_id``, ``item_id``, ``timestamp``; further columns are not read.
    """

    items_path: Path
    interactions_path: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return self.items_path, self.interactions_path

    def items(self, bad_rows: BadRows) -> Iterator[ItemRow]:
        """As :func:`read_items`; and notes where a column of JSON Lines has values of several types."""
        if kind_of_table(self.items_path) not in ("jsonl", "ndjson"):
            return read_items(self.items_path, bad_rows)
        rows = _numbered_items(self.items_path, bad_rows)
        return noting_mixed_columns(rows, kind_by_type, self.items_path, bad_rows)

    def interactions(self, bad_rows: BadRows) -> Iterator[Interaction]:
        return read_interactions(self.interactions_path, bad_rows)


def read_items(path: Path, bad_rows: BadRows) -> Iterator[ItemRow]:
    """The items of a table.

    Raises:
        DataError: if the file is bad, or has no ``item_id`` or no column of text.
    """
    rows = _numbered_items(path, bad_rows)
    if kind_of_table(path) not in ("csv", "tsv"):
        return (row for _, row in rows)
    return typed_rows(noting_mixed_columns(rows, kind_by_spelling, path, bad_rows), fixed=ITEM_COLUMNS)


def _numbered_items(path: Path, bad_rows: BadRows) -> Iterator[tuple[int, ItemRow]]:
    return parse_numbered_rows(read_table(path, "items", bad_rows), parse_item, "items", path, bad_rows)


def read_interactions(path: Path, bad_rows: BadRows) -> Iterator[Interaction]:
    """The interactions of a table.

    Raises:
        DataError: if the file is bad or lacks one of the three columns.
    """
    cells = read_table(path, "interactions", bad_rows, only=INTERACTION_COLUMNS)
    return parse_rows(cells, parse_interaction, "interactions", path, bad_rows)


def parse_rows(
    numbered: Iterable[tuple[int, Cells]], parse: Callable[[Cells], R], kind: str, path: Path, bad_rows: BadRows
) -> Iterator[R]:
    """As :func:`parse_numbered_rows`, without the numbers."""
    return (row for _, row in parse_numbered_rows(numbered, parse, kind, path, bad_rows))


def parse_numbered_rows(
    numbered: Iterable[tuple[int, Cells]], parse: Callable[[Cells], R], kind: str, path: Path, bad_rows: BadRows
) -> Iterator[tuple[int, R]]:
    """Parse row after row; a row that cannot be parsed goes to ``bad_rows``, the others come with their lines.

    Raises:
        DataError: at the end, if there were rows and none was good: then it is the file that is bad.
    """
    good, bad_before, first_error = 0, bad_rows.total(kind), None
    for number, cells in numbered:
        try:
            row = parse(cells)
        except RowError as error:
            first_error = first_error or f"{path}:{number}: {error.detail}"
            bad_rows.add(kind, path, number, error)
        else:
            good += 1
            yield number, row
    if not good and bad_rows.total(kind) > bad_before:
        raise DataError(f"no row of {path} can be used; the first: {first_error or 'not readable'}")


def read_table(
    path: Path, kind: str, bad_rows: BadRows, only: Sequence[str] | None = None
) -> Iterator[tuple[int, Cells]]:
    """Line number (of a Parquet file: row number) and cells, of the columns ``only`` or of all.

    Raises:
        DataError: if the file is missing, damaged, of no known kind, or lacks a column that ``kind`` needs.
    """
    table = kind_of_table(path)
    if table == "parquet":
        yield from _parquet_rows(path, kind, only)
    elif table in ("csv", "tsv"):
        yield from _csv_rows(path, kind, bad_rows, "," if table == "csv" else "\t")
    else:
        yield from read_json_lines(path, kind, bad_rows)


def kind_of_table(path: Path) -> str:
    """``parquet``, ``csv``, ``tsv``, ``jsonl`` or ``ndjson``, by the file's name."""
    match = _KIND_OF_TABLE.search(path.name)
    if match is None:
        raise DataError(
            f"{path.name} is not a table: it must end in .parquet, .csv, .tsv or .jsonl (the last three also .gz)"
        )
    return match[1].lower()


def check_columns(columns: Sequence[str], required: Sequence[str], path: Path) -> None:
    """Raises DataError if one that is required is missing."""
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has: {', '.join(columns) or 'none'}")


def check_item_columns(columns: Sequence[str], path: Path) -> None:
    """Raises DataError if there is no column of ids, or none of text."""
    check_columns(columns, ("item_id",), path)
    if not {"text", *TEXT_FIELDS} & set(columns):
        raise DataError(f"{path} has no column of text: it needs `text`, or some of {', '.join(TEXT_FIELDS)}")


def read_parquet(path: Path) -> pl.DataFrame:
    """A Parquet file whole.

    Raises:
        DataError: if it is missing, cut off or no Parquet. Flipped bytes in its middle can make polars abort the
            process instead, whichever of its readers is used.
    """
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    try:
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {error}") from error


def _parquet_rows(path: Path, kind: str, only: Sequence[str] | None) -> Iterator[tuple[int, Cells]]:
    frame = read_parquet(path)
    _check_header(frame.columns, kind, path)
    if only is not None:
        frame = frame.select(only)
    yield from enumerate(frame.iter_rows(named=True, buffer_size=_ROWS_AT_A_TIME), start=1)


def read_json_lines(path: Path, kind: str, bad_rows: BadRows) -> Iterator[tuple[int, Cells]]:
    """Line number and object of each line; empty lines are none."""
    for number, line in read_lines(path, kind, bad_rows):
        if not line.strip():
            continue
        try:
            yield number, parse_json_object(line)
        except RowError as error:
            bad_rows.add(kind, path, number, error)


def _csv_rows(path: Path, kind: str, bad_rows: BadRows, delimiter: str) -> Iterator[tuple[int, Cells]]:
    lines = (line for _, line in read_lines(path, kind, bad_rows))
    first = next(lines, "")
    check_separator(first, delimiter, path)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header = read_header(reader, path)
    _check_header(header, kind, path)
    while True:
        number = reader.line_num + 1  # where the row begins: a quoted cell may hold line breaks
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise DataError(f"{path}:{number}: a quote is opened and never closed") from error
            bad_rows.add(kind, path, number, RowError("not CSV", error))
            continue
        if cells is None:
            return
        if cells and len(cells) != len(header):
            bad_rows.add(kind, path, number, RowError("another number of cells than the header", len(cells)))
        elif cells:
            yield number, dict(zip(header, cells, strict=True))


def _check_header(columns: Sequence[str], kind: str, path: Path) -> None:
    if kind == "items":
        check_item_columns(columns, path)
        check_names(columns, path)
    else:
        check_columns(columns, INTERACTION_COLUMNS, path)
        check_names([name for name in columns if name in INTERACTION_COLUMNS], path)
