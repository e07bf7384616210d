"""The first line of a CSV or TSV: it names the columns, and shows by which sign they are separated."""

from collections import Counter
from collections.abc import Iterator, Sequence
from csv import Error
from pathlib import Path

from training.errors import DataError
from training.readers.lines import shell_filter

_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_SUFFIXES = {",": ".csv", "\t": ".tsv"}
# Latin-1 leaves every byte as it is, whatever the encoding.
_TURN = (
    "PYTHONIOENCODING=latin-1 python3 -c "
    '"import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter={!r}))"'
)


def check_separator(line: str, separator: str, path: Path) -> None:
    """Refuse a file that has no columns, or has them separated by another sign than its name promises.

    Raises:
        DataError: saying what to do.
    """
    if not line:
        raise DataError(f"{path} is empty: its first line must name the columns")
    if not line.strip():
        raise DataError(f"{path}:1: the first line is empty, and must name the columns")
    other = max((sign for sign in _NAMES if sign != separator), key=line.count)
    if separator in line or other not in line:
        return
    if other in _SUFFIXES:
        what_to_do = f"give the file a name that ends in {_SUFFIXES[other]}"
    else:
        what_to_do = f"save it with commas, or turn it: {shell_filter(_TURN.format(other), path, 'commas')}"
    raise DataError(f"{path}:1: the columns are separated by {_NAMES[other]}, not {_NAMES[separator]}: {what_to_do}")


def read_header(rows: Iterator[list[str]], path: Path) -> list[str]:
    """The names of the columns, from the first of ``rows``.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return [name.strip() for name in next(rows, [])]
    except Error as error:
        raise DataError(f"{path}:1: the line that names the columns is not CSV: {error}") from error


def check_names(names: Sequence[str], path: Path) -> None:
    """Raises DataError if a column has no name, or two have the same."""
    if "" in names:
        raise DataError(
            f"{path}:1: column {names.index('') + 1} has no name: name it, or leave it out "
            "(the index of a pandas table: to_csv(..., index=False))"
        )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path}:1: {times} columns are called {name}: give each a name of its own")
