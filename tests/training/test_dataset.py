"""The neutral form as later stages get it, and the split of its histories."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dataset import Dataset, load_dataset, load_items
from training.errors import DataError
from training.histories import Histories, split_leave_one_out

Columns = dict[str, list[object]]

ITEMS: Columns = {
    "item_id": ["b", "a", "c"],
    "text": ["B text", "  A   text", "C"],
    "price": [2.5, None, 1.0],
    "tags": [["x"], ["y"], None],
}
LOG: Columns = {
    "user_id": ["v", "u", "u", "v", "u", "u"],
    "item_id": ["a", "c", "b", "b", "gone", "a"],
    "timestamp": [1, 9, 3, 1, 4, 9],
}


def write(folder: Path, items: Columns, log: Columns) -> Path:
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    pl.DataFrame(log).write_parquet(folder / "interactions.parquet")
    return folder


def as_dict(dataset: Dataset) -> dict[str, list[str]]:
    return {
        user_id: [dataset.item_ids[item] for item in history]
        for user_id, history in zip(dataset.histories.user_ids, dataset.histories, strict=True)
    }


def histories_of(*histories: list[int]) -> Histories:
    return Histories(
        tuple(f"u{number:03d}" for number in range(len(histories))),
        np.array([item for history in histories for item in history], dtype=np.int32),
        np.cumsum([0, *map(len, histories)]),
    )


def test_items_are_sorted_with_texts_and_attributes_aligned(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, ITEMS, LOG))
    assert dataset.item_ids == ("a", "b", "c")
    assert dataset.texts == ["A text", "B text", "C"]
    assert dataset.attributes == [{"tags": ["y"]}, {"price": 2.5, "tags": ["x"]}, {"price": 1.0}]


def test_histories_are_in_order_of_time_then_of_the_file_and_unknown_items_are_counted(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, ITEMS, LOG))
    assert as_dict(dataset) == {"u": ["b", "c", "a"], "v": ["a", "b"]}
    assert dataset.unknown_interactions == 1
    assert dataset.histories.items.dtype == np.int32
    assert dataset.histories.offsets.dtype == np.int64


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_csv_and_json_lines_give_the_same_as_parquet(tmp_path: Path, kind: str) -> None:
    expected = load_dataset(write(tmp_path, {name: ITEMS[name] for name in ("item_id", "text", "price")}, LOG))
    folder = tmp_path / kind
    folder.mkdir()
    for table in ("items", "interactions"):
        frame = pl.read_parquet(tmp_path / f"{table}.parquet")
        path = folder / f"{table}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_ndjson(path)
    dataset = load_dataset(folder)
    assert dataset.fingerprint == expected.fingerprint
    assert dataset.attributes == expected.attributes
    assert as_dict(dataset) == as_dict(expected)


def test_without_a_text_it_is_composed_and_the_other_columns_are_attributes(tmp_path: Path) -> None:
    items = {
        "item_id": ["a"],
        "brand": ["Acme"],
        "categories": [["Tools", "Saws"]],
        "title": ["Saw"],
        "colour": ["red"],
    }
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    loaded = load_items(tmp_path)
    assert loaded.texts == ["Saw Acme Tools Saws"]
    assert loaded.attributes == [{"colour": "red"}]


def test_beside_a_text_title_and_brand_are_attributes(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["a"], "text": ["a saw"], "brand": ["Acme"]}).write_parquet(tmp_path / "items.parquet")
    assert load_items(tmp_path).attributes == [{"brand": "Acme"}]


@pytest.mark.parametrize(
    "timestamps", [[3.0, 1.0, 2.5, 0.0, 9.0, 8.0], [f"2024-01-0{day}" for day in (3, 1, 2, 4, 6, 5)]]
)
def test_other_timestamps_than_whole_numbers_order_too(tmp_path: Path, timestamps: list[object]) -> None:
    log: Columns = {"user_id": ["u"] * 6, "item_id": [*"aabbcc"], "timestamp": timestamps}
    dataset = load_dataset(write(tmp_path, ITEMS, log))
    order = sorted(range(6), key=lambda row: str(timestamps[row]))
    assert as_dict(dataset) == {"u": ["aabbcc"[row] for row in order]}


@pytest.mark.parametrize(
    ("items", "log", "message"),
    [
        ({"item_id": ["a", "b", "a"], "text": ["x", "y", "z"]}, LOG, "'a' comes more than once"),
        ({"item_id": ["a", "b"], "text": ["x", " "]}, LOG, "items.parquet:2: the item has no text"),
        ({"item_id": ["a", None], "text": ["x", "y"]}, LOG, "items.parquet:2: item_id is empty"),
        ({"item_id": ["a"], "price": [1]}, LOG, "no column of text"),
        ({"item_id": ["A", "B"], "text": ["x", "y"]}, LOG, "no interaction with any of its items"),
        (ITEMS, {**LOG, "timestamp": [1, 2, 3, None, 5, 6]}, "interactions.parquet:4: timestamp is empty"),
        (ITEMS, {**LOG, "timestamp": [1.0, 2.0, 3.0, 4.0, float("inf"), 6.0]}, ":5: timestamp is not finite"),
        (ITEMS, {**LOG, "user_id": ["u", "", "u", "u", "u", "u"]}, ":2: user_id is empty"),
        (ITEMS, {"user_id": ["u"], "item_id": ["a"]}, "no column timestamp"),
    ],
)
def test_data_that_is_not_as_it_should_be_is_a_clear_error(
    tmp_path: Path, items: Columns, log: Columns, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(write(tmp_path, items, log))


def test_missing_and_ambiguous_tables_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no items.parquet"):
        load_items(tmp_path)
    write(tmp_path, ITEMS, LOG)
    (tmp_path / "items.jsonl").write_text(json.dumps({"item_id": "a", "text": "x"}))
    with pytest.raises(DataError, match=r"more than one table of items: items.parquet, items.jsonl"):
        load_dataset(tmp_path)


def test_the_fingerprint_is_of_what_training_learns_from(tmp_path: Path) -> None:
    one = load_dataset(write(tmp_path, ITEMS, LOG)).fingerprint
    assert load_dataset(write(tmp_path, {**ITEMS, "price": [1.0, 2.0, 3.0]}, LOG)).fingerprint == one
    assert load_dataset(write(tmp_path, {**ITEMS, "text": ["B", "A", "C"]}, LOG)).fingerprint != one
    assert load_dataset(write(tmp_path, ITEMS, {**LOG, "timestamp": [1, 9, 3, 1, 4, 8]})).fingerprint != one


def test_without_items_is_as_if_they_had_never_been(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, ITEMS, {**LOG, "user_id": ["v", "u", "u", "w", "u", "u"]}))
    rest = dataset.without_items([dataset.item_ids.index("b")])
    assert rest.item_ids == ("a", "c")
    assert rest.texts == ["A text", "C"]
    assert rest.attributes == [{"tags": ["y"]}, {"price": 1.0}]
    assert as_dict(rest) == {"u": ["c", "a"], "v": ["a"]}  # w had bought b alone


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=9), min_size=1, max_size=12))
def test_the_split_puts_every_interaction_in_its_place(logs: list[list[int]]) -> None:
    histories = histories_of(*logs)
    split = split_leave_one_out(histories)
    assert split.train.user_ids == histories.user_ids
    assert [history.tolist() for history in split.train] == [log[:-2] if len(log) >= 3 else log for log in logs]
    evaluated = [log for log in logs if len(log) >= 3]
    for targets, last in ((split.valid, 2), (split.test, 1)):
        assert [history.tolist() for history in targets.histories] == [log[:-last] for log in evaluated]
        assert targets.items.tolist() == [log[-last] for log in evaluated]
        assert len(targets) == len(targets.histories.user_ids) == len(evaluated)
    assert split.test.items.dtype == np.int32


def test_popularity_counts_every_item_of_the_catalogue() -> None:
    assert histories_of([0, 2, 2], [2]).item_counts(4).tolist() == [1, 0, 3, 0]


def test_offsets_that_do_not_cut_the_items_are_refused() -> None:
    with pytest.raises(DataError, match="do not cut"):
        Histories(("u",), np.array([1, 2], dtype=np.int32), np.array([0, 1]))


@pytest.mark.real_data
def test_the_real_data_is_read_whole(real_data: Path) -> None:
    dataset = load_dataset(real_data / "scientific")
    assert (len(dataset.items), len(dataset.histories), len(dataset.histories.items)) == (4385, 8442, 59384)
    assert list(dataset.item_ids) == sorted(dataset.item_ids)
    assert dataset.unknown_interactions == 0
    first = pl.read_parquet(real_data / "scientific" / "interactions.parquet").filter(
        user_id=dataset.histories.user_ids[0]
    )
    assert as_dict(dataset)[dataset.histories.user_ids[0]] == first.sort("timestamp")["item_id"].to_list()
    assert len(split_leave_one_out(dataset.histories).test) == 8442
