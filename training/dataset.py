"""The neutral form on disk ─► what every later stage reads: items with their texts, and histories in order of time."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from models.item_text import TEXT_FIELDS, compose_text
from training.errors import DataError
from training.histories import Histories, offsets_of
from training.readers.bad_rows import BadRows
from training.readers.source import INTERACTION_COLUMNS, AttributeValue
from training.readers.tables import check_columns, kind_of_table, read_interactions, read_items, read_parquet
from training.readers.values import whole_timestamps

_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")


@dataclass(frozen=True, eq=False)
class Items:
    """A catalogue.

    Args:
        item_ids: sorted, unique.
        texts: what each item is encoded by, aligned.
        attributes: the further columns of each item, aligned; a value that is missing is left out.
    """

    item_ids: tuple[str, ...]
    texts: list[str]
    attributes: list[dict[str, AttributeValue]]

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One shop's items, and what its users did with them.

    Args:
        items: the catalogue.
        histories: each user's items in order of time, as positions in ``item_ids``.
        unknown_interactions: how many interactions were left out because their item is not in the catalogue.
    """

    items: Items
    histories: Histories
    unknown_interactions: int = 0

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self.items.item_ids

    @property
    def texts(self) -> list[str]:
        return self.items.texts

    @property
    def attributes(self) -> list[dict[str, AttributeValue]]:
        return self.items.attributes

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of all that training learns from: ids, texts and histories. A price may change without it."""
        digest = hashlib.sha256(json.dumps([self.item_ids, self.texts, self.histories.user_ids]).encode())
        digest.update(np.ascontiguousarray(self.histories.offsets, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.histories.items, dtype="<i4").tobytes())
        return digest.hexdigest()

    def without_items(self, indices: Collection[int]) -> "Dataset":
        """The data set as if the items at these positions had never been: gone from catalogue and histories.

        Users who have nothing left go too.
        """
        kept = np.ones(len(self.items), dtype=np.bool_)
        kept[list(indices)] = False
        position = np.cumsum(kept, dtype=np.int32) - 1  # [items], of those kept in the new catalogue
        rest = self.histories.where(kept[self.histories.items])
        rest = rest.of_users(rest.lengths > 0)
        places = np.flatnonzero(kept).tolist()
        items = Items(
            tuple(self.item_ids[place] for place in places),
            [self.texts[place] for place in places],
            [self.attributes[place] for place in places],
        )
        return Dataset(items, Histories(rest.user_ids, position[rest.items], rest.offsets), self.unknown_interactions)


def load_dataset(path: Path) -> Dataset:
    """Read ``path``/items.* and ``path``/interactions.*, each Parquet, CSV or JSON Lines.

    Interactions are ordered by user and timestamp, and by their place in the file where timestamps are equal.
    Those with an item that is not in the catalogue are left out and counted.

    Raises:
        DataError: if a file is missing or bad, an item comes twice, or no interaction is left.
    """
    items = load_items(path)
    log = _read_log(_find(path, "interactions"))
    catalogue = pl.DataFrame({"item_id": items.item_ids, "item": np.arange(len(items), dtype=np.int32)})
    known = log.join(catalogue, on="item_id", how="left", maintain_order="left").drop_nulls("item")
    if known.is_empty():
        raise DataError(f"{path} has no interaction with any of its items: do their ids have the same form?")
    known = known.sort("user_id", "timestamp", maintain_order=True)
    users = known.group_by("user_id", maintain_order=True).len()
    histories = Histories(
        user_ids=tuple(users["user_id"]),
        items=known["item"].to_numpy(),
        offsets=offsets_of(users["len"].to_numpy()),
    )
    return Dataset(items, histories, unknown_interactions=len(log) - len(known))


def load_items(path: Path) -> Items:
    """Read ``path``/items.* alone.

    Raises:
        DataError: if the file is missing or bad, an item comes twice or has no text.
    """
    file = _find(path, "items")
    rows = {}
    for row in read_items(file, BadRows(strict=True)):
        item_id = str(row.pop("item_id"))
        if item_id in rows:
            raise DataError(f"{file}: the item {item_id!r} comes more than once; `vqrec prepare` keeps the last")
        rows[item_id] = row
    if not rows:
        raise DataError(f"{file} holds no items")
    item_ids = tuple(sorted(rows))
    text_columns = ("text",) if any("text" in row for row in rows.values()) else TEXT_FIELDS
    return Items(
        item_ids,
        [compose_text(rows[item_id]) for item_id in item_ids],
        [{name: value for name, value in rows[item_id].items() if name not in text_columns} for item_id in item_ids],
    )


def _find(folder: Path, table: str) -> Path:
    found = [folder / f"{table}{suffix}" for suffix in _SUFFIXES if (folder / f"{table}{suffix}").exists()]
    if not found:
        raise DataError(f"{folder} has no {table}.parquet (nor .csv, .tsv, .jsonl): `vqrec prepare` makes it")
    if len(found) > 1:
        raise DataError(f"{folder} has more than one table of {table}: {', '.join(path.name for path in found)}")
    return found[0]


def _read_log(path: Path) -> pl.DataFrame:
    """user_id, item_id, timestamp (int64), in the order of the file."""
    schema = dict(zip(INTERACTION_COLUMNS, (pl.String(), pl.String(), pl.Int64()), strict=True))
    if kind_of_table(path) == "parquet":
        log = read_parquet(path)
        check_columns(log.columns, INTERACTION_COLUMNS, path)
        log = log.select(INTERACTION_COLUMNS)
        if log.schema == schema and not any(column.has_nulls() for column in log) and (log["user_id"] != "").all():
            return log
    # not as `vqrec prepare` writes it: row by row, which converts what can be, and names the row that cannot
    rows = list(read_interactions(path, BadRows(strict=True)))
    timestamps = whole_timestamps([row.timestamp for row in rows])
    columns = ([row.user_id for row in rows], [row.item_id for row in rows], timestamps)
    return pl.DataFrame(dict(zip(INTERACTION_COLUMNS, columns, strict=True)), schema=schema)
