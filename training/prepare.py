"""Raw data ─► ``items.parquet`` and ``interactions.parquet``, the neutral form that every later stage reads."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from training.errors import DataError
from training.item_table import item_table
from training.k_core import k_core
from training.prepare_summary import PrepareSummary, TableSummary
from training.readers.bad_rows import BadRows
from training.readers.source import INTERACTION_COLUMNS, ItemRow, Source
from training.readers.values import whole_timestamps
from training.replace_file import replace_files

ITEMS_FILE = "items.parquet"
INTERACTIONS_FILE = "interactions.parquet"
SUMMARY_FILE = "summary.json"

UNKNOWN_ITEM = "of an item without a row of its own"
DUPLICATE_ITEM = "came again later, the last row counts"
DUPLICATE_ROW = "the same user, item and timestamp again"
DUPLICATE_PAIR = "the same user and item again"
TOO_RARE = "too few interactions (k-core)"


@dataclass(frozen=True)
class PrepareConfig:
    """What ``prepare`` does.

    Args:
        source: the raw data, see :func:`training.readers.open_source`.
        out: the folder to write; made where there is none. Data that an earlier run left there is replaced.
        min_user: users with fewer interactions are left out (k-core). 1 keeps all.
        min_item: items with fewer interactions are left out (k-core). 1 keeps all, also those nobody bought yet: what
            a shop wants that will serve its whole catalogue, and what leaves published data as it is compared on.
            5 is how the literature makes its data sets from raw ones: what is rarer costs time and teaches little.
        deduplicate_pairs: keep a user's first interaction with an item alone. Off, because buying again is a signal.

    Raises:
        DataError: if a bound is below 1.
    """

    source: Source
    out: Path
    min_user: int = 5
    min_item: int = 5
    deduplicate_pairs: bool = False

    def __post_init__(self) -> None:
        if self.min_user < 1 or self.min_item < 1:
            raise DataError(f"min_user and min_item must be at least 1, not {self.min_user} and {self.min_item}")


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Read, clean, filter, order and write one shop's data.

    Writes ``items.parquet`` (by item_id), ``interactions.parquet`` (by user_id, timestamp and order of reading) and
    ``summary.json`` into ``config.out``, each whole or not at all.

    Raises:
        DataError: if a file is bad, nothing is left, or ``out`` is where the raw data lies. Then nothing is written.
    """
    _check_out(config)
    bad_rows = BadRows()
    items, items_read = _read_items(config.source, bad_rows)
    log, interactions_read, unknown = _read_interactions(config.source, items, bad_rows)
    if interactions_read == 0:
        raise DataError(f"{', '.join(map(str, config.source.paths[1:]))} holds no interactions")

    dropped = Counter({UNKNOWN_ITEM: unknown})
    log = _deduplicated(log, INTERACTION_COLUMNS, DUPLICATE_ROW, dropped)
    log = log.sort("user_id", "timestamp", maintain_order=True)
    if config.deduplicate_pairs:
        log = _deduplicated(log, ("user_id", "item_id"), DUPLICATE_PAIR, dropped)
    before = len(log)
    log = _k_core(log, config, dropped)
    if log.is_empty():
        raise DataError(
            f"no interaction is left of {interactions_read}: {_listed(dropped)}. Lower --min-user and --min-item, "
            "or see whether the items' ids are those of the interactions"
        )
    bought = set(log["item_id"].unique())
    kept = {item_id: row for item_id, row in items.items() if config.min_item == 1 or item_id in bought}

    summary = PrepareSummary(
        users=log["user_id"].n_unique(),
        items=TableSummary.of(
            items_read,
            {
                **bad_rows.counts.get("items", {}),
                DUPLICATE_ITEM: items_read - bad_rows.total("items") - len(items),
                TOO_RARE: len(items) - len(kept),
            },
        ),
        interactions=TableSummary.of(interactions_read, {**bad_rows.counts.get("interactions", {}), **dropped}),
        bad_rows=tuple(bad_rows.examples),
        notes=(*bad_rows.notes, *_notes_of_k_core(before, len(log))),
    )
    _write(config.out, item_table(kept[item_id] for item_id in sorted(kept)), log, summary)
    return summary


def _check_out(config: PrepareConfig) -> None:
    out = config.out.resolve()
    if any(path.resolve().parent == out for path in config.source.paths):
        raise DataError(f"{config.out} holds the raw data: write into another folder with --out")
    if out.exists() and not out.is_dir():
        raise DataError(f"{config.out} is a file: give a folder with --out")


def _read_items(source: Source, bad_rows: BadRows) -> tuple[dict[str, ItemRow], int]:
    """Id ─► item, and the number of rows read, bad ones among them."""
    items: dict[str, ItemRow] = {}
    good = 0
    for good, row in enumerate(source.items(bad_rows), start=1):  # noqa: B007 (the count is what is wanted)
        items[str(row["item_id"])] = row
    if not items:
        raise DataError(f"{source.paths[0]} holds no items")
    return items, good + bad_rows.total("items")


def _read_interactions(
    source: Source, items: Mapping[str, ItemRow], bad_rows: BadRows
) -> tuple[pl.DataFrame, int, int]:
    """Interactions with known items, the number of rows read, and how many of them had an unknown item."""
    # numbers instead of ids until all rows are read: an id is kept once
    item_numbers = {item_id: number for number, item_id in enumerate(items)}
    user_numbers: dict[str, int] = {}
    users, bought = array("q"), array("q")
    timestamps: list[int | float] = []
    unknown = 0
    for user_id, item_id, timestamp in source.interactions(bad_rows):
        item = item_numbers.get(item_id)
        if item is None:
            unknown += 1
            continue
        users.append(user_numbers.setdefault(user_id, len(user_numbers)))
        bought.append(item)
        timestamps.append(timestamp)
    log = pl.DataFrame(
        {
            "user_id": pl.Series(list(user_numbers), dtype=pl.String()).gather(pl.Series(users, dtype=pl.Int64())),
            "item_id": pl.Series(list(items), dtype=pl.String()).gather(pl.Series(bought, dtype=pl.Int64())),
            "timestamp": pl.Series(whole_timestamps(timestamps), dtype=pl.Int64()),
        }
    )
    return log, len(log) + unknown + bad_rows.total("interactions"), unknown


def _deduplicated(log: pl.DataFrame, by: tuple[str, ...], reason: str, dropped: Counter[str]) -> pl.DataFrame:
    unique = log.unique(subset=by, keep="first", maintain_order=True)
    dropped[reason] += len(log) - len(unique)
    return unique


def _k_core(log: pl.DataFrame, config: PrepareConfig, dropped: Counter[str]) -> pl.DataFrame:
    users, items = (log[name].rank("dense").cast(pl.Int64()).to_numpy() - 1 for name in ("user_id", "item_id"))
    kept = log.filter(pl.Series(k_core(users, items, config.min_user, config.min_item)))
    dropped[TOO_RARE] += len(log) - len(kept)
    return kept


def _notes_of_k_core(before: int, kept: int) -> list[str]:
    if 2 * kept >= before:
        return []
    return [f"the k-core left {kept} of {before} interactions: lower --min-user and --min-item to keep more"]


def _listed(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count) or "none was dropped"


def _write(out: Path, items: pl.DataFrame, log: pl.DataFrame, summary: PrepareSummary) -> None:
    out.mkdir(parents=True, exist_ok=True)
    replace_files(
        {
            out / ITEMS_FILE: items.write_parquet,
            out / INTERACTIONS_FILE: log.write_parquet,
            out / SUMMARY_FILE: lambda path: path.write_text(summary.as_json()),
        }
    )
