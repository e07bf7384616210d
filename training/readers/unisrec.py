"""RecBole's atomic files, and what UniSRec and VQ-Rec publish in them.

``NAME.inter`` holds one interaction a row. UniSRec's ``NAME.{train,valid,test}.inter`` hold a history and the item that
follows it instead, ids being numbers that ``NAME.item2index`` and ``NAME.user2index`` map to the ids of ``NAME.text``.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from training.errors import DataError, RowError
from training.readers.bad_rows import BadRows
from training.readers.lines import read_lines
from training.readers.source import INTERACTION_COLUMNS, ITEM_COLUMNS, Interaction, ItemRow
from training.readers.tables import Cells, check_columns, check_item_columns, parse_rows
from training.readers.values import parse_id, parse_interaction, parse_item

_SPLITS = ("train", "valid", "test")
_HISTORY = "item_id_list"
# what RecBole's own data sets call them
_TEXT_NAMES = {
    "name": "title", "item_name": "title", "movie_title": "title",
    "genre": "categories", "class": "categories", "category": "categories",
}  # fmt: skip


class _Step(NamedTuple):
    """A row of UniSRec's files: ``target`` came after ``history``, which may be cut to its last 50 items."""

    line: int
    user_id: str
    history: list[str]
    target: str


@dataclass(frozen=True)
class AtomicSource:
    """The atomic files of one data set, as found by :func:`find_atomic_files`."""

    items_path: Path
    interactions_paths: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return self.items_path, *self.interactions_paths

    def items(self, bad_rows: BadRows) -> Iterator[ItemRow]:
        rows = _read_atomic(self.items_path, "items", bad_rows)
        return parse_rows(rows, parse_item, "items", self.items_path, bad_rows)

    def interactions(self, bad_rows: BadRows) -> Iterator[Interaction]:
        if all(_HISTORY in _fields(path) for path in self.interactions_paths):
            yield from self._from_histories(bad_rows)
            return
        for path in self.interactions_paths:
            rows = _read_atomic(path, "interactions", bad_rows)
            yield from parse_rows(rows, parse_interaction, "interactions", path, bad_rows)

    def _from_histories(self, bad_rows: BadRows) -> Iterator[Interaction]:
        """Timestamps are positions in the history that the rows of a user, put together, tell."""
        users, items = (_read_index(self.items_path.with_suffix(suffix)) for suffix in (".user2index", ".item2index"))
        histories: dict[str, list[str]] = defaultdict(list)
        for path in self.interactions_paths:
            rows = ((line, {**cells, "line": line}) for line, cells in _read_atomic(path, "interactions", bad_rows))
            steps = list(parse_rows(rows, _parse_step, "interactions", path, bad_rows))
            # a user's rows are published longest first; those cut to the same 50 items are told apart by their order
            for step in sorted(steps, key=lambda step: (len(step.history), -step.line)):
                try:
                    _extend(histories[step.user_id], step)
                except RowError as error:
                    bad_rows.add("interactions", path, step.line, error)
        for user_id, history in histories.items():
            for position, item_id in enumerate(history):
                yield Interaction(users.get(user_id, user_id), items.get(item_id, item_id), position)


def find_atomic_files(folder: Path) -> AtomicSource:
    """The one data set in ``folder``: ``.text`` (preferred) or ``.item``, and ``.inter`` or its three splits.

    Raises:
        DataError: if there is none, or more than one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    inters = sorted(folder.glob("*.inter"))
    names = {re.sub(rf"(\.({'|'.join(_SPLITS)}))?\.inter$", "", path.name) for path in inters}
    if len(names) != 1:
        raise DataError(
            f"{folder} must hold the .inter files of one data set; it has: {', '.join(sorted(names)) or 'none'}"
        )
    name = names.pop()
    splits = [folder / f"{name}.{split}.inter" for split in _SPLITS]
    whole = folder / f"{name}.inter"
    items = [path for path in (folder / f"{name}.text", folder / f"{name}.item") if path.exists()]
    if not items:
        raise DataError(f"{folder} has neither {name}.text nor {name}.item, so its items have no text")
    return AtomicSource(items[0], (whole,) if whole.exists() else tuple(path for path in splits if path.exists()))


def _read_atomic(path: Path, kind: str, bad_rows: BadRows) -> Iterator[tuple[int, Cells]]:
    """Line number and cells, as strings; of items as their header types them."""
    types = _fields(path)
    names = list(types)
    if kind == "items":
        check_item_columns([_TEXT_NAMES.get(name, name) for name in names], path)
    else:
        check_columns(names, ("user_id", "item_id") if _HISTORY in names else INTERACTION_COLUMNS, path)
    for number, line in read_lines(path, kind, bad_rows):
        values = line.rstrip("\r\n").split("\t", len(names) - 1)  # further tabs belong to the last, which is the text
        if number == 1 or values == [""]:
            continue
        if len(values) != len(names):
            bad_rows.add(kind, path, number, RowError("another number of fields than the header", len(values)))
            continue
        cells = dict(zip(names, values, strict=True))
        try:
            yield number, _typed(cells, types) if kind == "items" else dict(cells)
        except RowError as error:
            bad_rows.add(kind, path, number, error)


def _fields(path: Path) -> dict[str, str]:
    """Name ─► type of each field, from the first line: ``item_id:token<TAB>title:token_seq``."""
    header = next(read_lines(path, "header", BadRows(strict=True)), (1, ""))[1].rstrip("\r\n")
    types = dict(field.partition(":")[::2] for field in header.split("\t"))
    if not set(types.values()) <= {"token", "token_seq", "float", "float_seq"}:
        raise DataError(f"{path} is not an atomic file: its first line must name fields as `name:type`, tab-separated")
    return types


def _typed(cells: dict[str, str], types: dict[str, str]) -> Cells:
    typed: Cells = {}
    for name, value in cells.items():
        field = _TEXT_NAMES.get(name, name)
        if types[name] == "float" and value:
            try:
                typed[field] = float(value)
            except ValueError as error:
                raise RowError(f"{name} is not a number", value) from error
        elif types[name] == "token_seq" and field not in ITEM_COLUMNS:
            typed[field] = value.split()
        elif types[name] != "float_seq":  # no attribute is a vector
            typed[field] = value
    return typed


def _parse_step(cells: Cells) -> _Step:
    line = cells["line"]
    history = str(cells[_HISTORY]).split()
    return _Step(int(str(line)), parse_id(cells, "user_id"), history, parse_id(cells, "item_id"))


def _extend(history: list[str], step: _Step) -> None:
    if history and (not step.history or history[-len(step.history) :] != step.history):
        raise RowError("the history does not continue the user's rows before it")
    if not history:
        history.extend(step.history)
    history.append(step.target)


def _read_index(path: Path) -> dict[str, str]:
    """Number ─► id, or nothing where there is no such file."""
    if not path.exists():
        return {}
    pairs = [line.split() for _, line in read_lines(path, "index", BadRows(strict=True)) if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{path} must hold an id and its number on each line")
    return {number: name for name, number in pairs}
