"""The stage as a whole: raw files in, neutral form and an account of every row out."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dataset import load_dataset
from training.errors import DataError
from training.prepare import PrepareConfig, prepare
from training.readers import open_source
from training.readers.tables import TableSource

Rows = list[dict[str, object]]


def write_shop(folder: Path, items: Rows, interactions: Rows) -> TableSource:
    """The raw tables of a shop, as gzipped JSON Lines."""
    folder.mkdir(parents=True, exist_ok=True)
    source = TableSource(folder / "products.jsonl.gz", folder / "orders.jsonl.gz")
    for path, rows in zip(source.paths, (items, interactions), strict=True):
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return source


def thing(item_id: str, **cells: object) -> dict[str, object]:
    return {"item_id": item_id, "title": f"Thing {item_id}", **cells}


def bought(user_id: str, item_id: str, timestamp: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": item_id, "timestamp": timestamp}


def written(out: Path) -> list[tuple[str, str, int]]:
    return pl.read_parquet(out / "interactions.parquet").rows()


def test_interactions_come_by_user_and_time_and_ties_as_they_were_read(tmp_path: Path) -> None:
    log = [bought("v", "b", 5), bought("u", "c", 7), bought("u", "b", 2), bought("u", "a", 7), bought("v", "a", 5)]
    source = write_shop(tmp_path / "raw", [thing("c"), thing("a"), thing("b")], log)
    prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=1))
    assert written(tmp_path / "out") == [
        ("u", "b", 2),
        ("u", "c", 7),
        ("u", "a", 7),
        ("v", "b", 5),
        ("v", "a", 5),
    ]
    assert pl.read_parquet(tmp_path / "out" / "items.parquet")["item_id"].to_list() == ["a", "b", "c"]


def test_a_fraction_of_a_second_orders_and_tells_rows_apart(tmp_path: Path) -> None:
    log = [bought("u", "a", 1700000000.3), bought("u", "a", 1700000000.1), bought("u", "b", "1700000000.2")]
    log.append(bought("u", "b", 1700000001))
    source = write_shop(tmp_path / "raw", [thing("a"), thing("b")], log)
    summary = prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=1))
    assert summary.interactions.kept == 4
    assert written(tmp_path / "out") == [
        ("u", "a", 1_700_000_000_100),
        ("u", "b", 1_700_000_000_200),
        ("u", "a", 1_700_000_000_300),
        ("u", "b", 1_700_000_001_000),
    ]


def test_every_row_is_accounted_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items: Rows = [thing("a", price=1), thing("b"), {"item_id": "no text"}, thing("a", price=2), thing("rare")]
    log = [
        bought("u", "a", 1),
        bought("u", "a", 1),  # the same again
        bought("u", "b", 2),
        bought("u", "a", 3),
        bought("v", "b", 1),
        bought("v", "a", 2),
        bought("v", "gone", 3),
        bought("v", "no text", 4),
        bought("w", "rare", 1),
        bought("w", "a", None),
    ]
    source = write_shop(tmp_path / "raw", items, log)
    summary = prepare(PrepareConfig(source, tmp_path / "out", min_user=2, min_item=2))
    assert summary.users == 2
    assert (summary.items.read, summary.items.kept) == (5, 2)
    assert summary.items.dropped == {
        "the item has no text": 1,
        "came again later, the last row counts": 1,
        "too few interactions (k-core)": 1,
    }
    assert (summary.interactions.read, summary.interactions.kept) == (10, 5)
    assert summary.interactions.dropped == {
        "timestamp is empty": 1,
        "of an item without a row of its own": 2,
        "the same user, item and timestamp again": 1,
        "too few interactions (k-core)": 1,
    }
    assert len(written(tmp_path / "out")) == 5
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interactions"]["read"] == 10
    assert "orders.jsonl.gz:10: timestamp is empty" in capsys.readouterr().err
    assert "interactions kept" in str(summary)
    # the last row of a duplicate item is the one that counts
    assert pl.read_parquet(tmp_path / "out" / "items.parquet").rows(named=True)[0]["price"] == 2


def test_a_pair_is_kept_once_only_if_asked_and_then_at_its_first_time(tmp_path: Path) -> None:
    log = [bought("u", "a", 9), bought("u", "b", 5), bought("u", "a", 1)]
    source = write_shop(tmp_path / "raw", [thing("a"), thing("b")], log)
    prepare(PrepareConfig(source, tmp_path / "all", min_user=1, min_item=1))
    assert written(tmp_path / "all") == [("u", "a", 1), ("u", "b", 5), ("u", "a", 9)]
    summary = prepare(PrepareConfig(source, tmp_path / "once", min_user=1, min_item=1, deduplicate_pairs=True))
    assert written(tmp_path / "once") == [("u", "a", 1), ("u", "b", 5)]
    assert summary.interactions.dropped == {"the same user and item again": 1}


def test_items_nobody_bought_stay_only_without_the_filter(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "raw", [thing("a"), thing("new")], [bought("u", "a", time) for time in range(2)])
    assert prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=1)).items.kept == 2
    assert prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=2)).items.kept == 1


def test_a_filter_that_leaves_less_than_half_is_noted(tmp_path: Path) -> None:
    log = [bought("often", "a", time) for time in range(4)] + [bought(f"u{n}", "a", n) for n in range(5)]
    source = write_shop(tmp_path / "raw", [thing("a")], log)
    assert prepare(PrepareConfig(source, tmp_path / "all", min_user=1, min_item=1)).notes == ()
    (note,) = prepare(PrepareConfig(source, tmp_path / "out", min_user=4, min_item=1)).notes
    assert note == "the k-core left 4 of 9 interactions: lower --min-user and --min-item to keep more"


def test_attributes_of_mixed_types_are_written_as_what_holds_them_all(tmp_path: Path) -> None:
    items = [
        thing("a", price=1, stock=3, sale=True, size="L", tags=["x", "y"], code=1),
        thing("b", price=1.5, stock=None, sale=False, size=None, tags="x", code="1a"),
        thing("c", categories="Tools > Saws", code=True, big=1 << 70),
    ]
    source = write_shop(tmp_path / "raw", items, [bought("u", item, 1) for item in "abc"])
    prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=1))
    assert load_dataset(tmp_path / "out").attributes == [
        {"price": 1.0, "stock": 3, "sale": True, "size": "L", "tags": ["x", "y"], "code": "1"},
        {"price": 1.5, "sale": False, "tags": ["x"], "code": "1a"},
        {"code": "true", "big": str(1 << 70)},
    ]


def test_the_summary_says_where_a_price_makes_text_of_all(tmp_path: Path) -> None:
    items = [thing("a", price=1), thing("b", price="12,50"), thing("c", price=3)]
    source = write_shop(tmp_path / "raw", items, [bought("u", item, 1) for item in "abc"])
    summary = prepare(PrepareConfig(source, tmp_path / "out", min_user=1, min_item=1))
    (note,) = summary.notes
    assert note.startswith(f"{source.items_path}:2: price is '12,50' there, and no number in 1 of 3 items")
    assert str(summary).endswith(f"\nnote: {note}")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["notes"] == [note]
    assert pl.read_parquet(tmp_path / "out" / "items.parquet")["price"].to_list() == ["1", "12,50", "3"]


@given(
    st.lists(
        st.tuples(st.sampled_from("uvw"), st.sampled_from(["a", "b", "x"]), st.integers(-3, 3) | st.none()),
        min_size=1,
        max_size=30,
    )
)
def test_read_is_kept_plus_dropped(
    tmp_path_factory: pytest.TempPathFactory, log: list[tuple[str, str, int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    rows = [*(bought(*row) for row in log), *(bought("sure", "a", time) for time in (1, 2))]
    source = write_shop(folder / "raw", [thing("a"), thing("b")], rows)
    summary = prepare(PrepareConfig(source, folder / "out", min_user=2, min_item=2))
    assert summary.interactions.read == len(rows)
    assert summary.interactions.kept == len(written(folder / "out"))
    assert summary.interactions.read == summary.interactions.kept + sum(summary.interactions.dropped.values())


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    log = [bought(f"u{n % 7}", f"i{n % 5}", n) for n in range(100)]
    source = write_shop(tmp_path / "raw", [thing(f"i{n}", price=n) for n in range(5)], log)
    for out in ("one", "two"):
        prepare(PrepareConfig(source, tmp_path / out))
    for name in ("items.parquet", "interactions.parquet", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_failed_run_leaves_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "raw", [thing("a")], [bought("u", "a", time) for time in range(9)])
    prepare(PrepareConfig(source, tmp_path / "out"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    orders = source.interactions_path
    orders.write_bytes(orders.read_bytes()[:-12])
    with pytest.raises(DataError, match="damaged gzip"):
        prepare(PrepareConfig(source, tmp_path / "out"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert before.keys() == {"items.parquet", "interactions.parquet", "summary.json"}


def test_a_filter_that_leaves_nothing_says_what_dropped_it_all(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "raw", [thing("a")], [bought("u", "a", 1), bought("u", "A", 2)])
    with pytest.raises(DataError, match=r"no interaction is left of 2: 1 of an item without a row.*--min-user"):
        prepare(PrepareConfig(source, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_raw_data_is_never_overwritten(tmp_path: Path) -> None:
    source = write_shop(tmp_path, [thing("a")], [bought("u", "a", 1)])
    with pytest.raises(DataError, match="holds the raw data"):
        prepare(PrepareConfig(source, tmp_path))


def test_empty_tables_and_bounds_below_one_are_clear_errors(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "raw", [], [])
    with pytest.raises(DataError, match="holds no items"):
        prepare(PrepareConfig(source, tmp_path / "out"))
    source = write_shop(tmp_path / "raw", [thing("a")], [])
    with pytest.raises(DataError, match=r"orders\.jsonl\.gz holds no interactions"):
        prepare(PrepareConfig(source, tmp_path / "out"))
    with pytest.raises(DataError, match="at least 1"):
        PrepareConfig(source, tmp_path / "out", min_user=0)


@pytest.mark.real_data
def test_the_real_data_goes_through_unchanged(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "scientific"
    source = open_source("table", items=folder / "items.parquet", interactions=folder / "interactions.parquet")
    summary = prepare(PrepareConfig(source, tmp_path, min_user=1, min_item=1))
    assert (summary.users, summary.items.kept, summary.interactions.kept) == (8442, 4385, 59384)
    assert load_dataset(tmp_path).fingerprint == load_dataset(folder).fingerprint
