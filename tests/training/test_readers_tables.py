"""A user's own tables, as they are found: every kind of file, every kind of bad row, every kind of bad file."""

import contextlib
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import DataError
from training.readers import open_source
from training.readers.bad_rows import BadRows
from training.readers.source import Interaction, ItemRow
from training.readers.tables import TableSource, read_interactions, read_items

ROWS = [
    {"item_id": "B001", "title": "Drill", "categories": ["Tools", "Power tools"], "price": 49.5, "in_stock": True},
    {"item_id": "B002", "title": "Büroklammer", "brand": "Ärmel & Co", "price": 2.0, "in_stock": False},
]
EXPECTED: list[ItemRow] = [dict(row) for row in ROWS]  # type: ignore[arg-type]  # JSON rows are item rows


def items_of(path: Path) -> list[ItemRow]:
    return list(read_items(path, BadRows()))


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_parquet_keeps_types_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    assert items_of(path) == EXPECTED


def test_json_lines_plain_and_gzipped_give_the_same(tmp_path: Path) -> None:
    plain = write_jsonl(tmp_path / "items.jsonl", ROWS)
    zipped = tmp_path / "items.jsonl.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert items_of(plain) == items_of(zipped) == EXPECTED


def test_a_gzip_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    assert items_of(path) == EXPECTED


def test_csv_columns_get_the_type_that_all_their_values_have(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        "\ufeffitem_id,title,price,stock,in_stock,code\n"
        'A,"Nail, 40 mm",1.5,10,true,007\n'
        'B,"Two\nlines",2,,False,008\n'
    )  # fmt: skip
    assert items_of(path) == [
        {"item_id": "A", "title": "Nail, 40 mm", "price": 1.5, "stock": 10, "in_stock": True, "code": "007"},
        {"item_id": "B", "title": "Two\nlines", "price": 2.0, "in_stock": False, "code": "008"},
    ]


def test_tab_separated_tables_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text("item_id\ttext\nA\ta hammer, heavy\n")
    assert items_of(path) == [{"item_id": "A", "text": "a hammer, heavy"}]


def test_whole_numbers_are_ids(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    pl.DataFrame({"user_id": [7], "item_id": [12], "timestamp": [3], "rating": [5.0]}).write_parquet(path)
    assert list(read_interactions(path, BadRows())) == [Interaction("7", "12", 3)]


@pytest.mark.parametrize(
    ("written", "timestamp"),
    [
        ("1700000000", 1_700_000_000),
        ("1700000000.9", 1_700_000_000.9),
        ("1.7e9", 1_700_000_000),
        ("-5", -5),
        ("9007199254740993", 9_007_199_254_740_993),  # not through a float, which has no such number
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("2023-11-14 23:13:20+01:00", 1_700_000_000_000),
    ],
)
def test_timestamps_are_numbers_or_dates(tmp_path: Path, written: str, timestamp: float) -> None:
    path = tmp_path / "interactions.csv"
    path.write_text(f"user_id,item_id,timestamp\nu,i,{written}\n")
    assert list(read_interactions(path, BadRows())) == [Interaction("u", "i", timestamp)]


def test_a_parquet_column_of_dates_is_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    time = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": [time]}).write_parquet(path)
    assert [row.timestamp for row in read_interactions(path, BadRows())] == [1_700_000_000_000]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user_id": "u", "item_id": "i", "timestamp": NaN}', "timestamp is not finite"),
        ('{"user_id": "u", "item_id": "i", "timestamp": -Infinity}', "timestamp is not finite"),
        ('{"user_id": "u", "item_id": "i", "timestamp": "soon"}', "timestamp is neither a number nor an ISO 8601 date"),
        ('{"user_id": "u", "item_id": "i", "timestamp": true}', "timestamp is neither a number nor an ISO 8601 date"),
        ('{"user_id": "u", "item_id": "i", "timestamp": 1e30}', "timestamp is out of range"),
        ('{"user_id": "u", "item_id": "i"}', "timestamp is empty"),
        ('{"user_id": "", "item_id": "i", "timestamp": 1}', "user_id is empty"),
        ('{"user_id": "  ", "item_id": "i", "timestamp": 1}', "user_id is empty"),
        ('{"user_id": "u", "item_id": null, "timestamp": 1}', "item_id is empty"),
        ('{"user_id": "u", "item_id": 1.5, "timestamp": 1}', "item_id is neither a string nor a whole number"),
        ('{"user_id": "\\ud800", "item_id": "i", "timestamp": 1}', "user_id is not valid Unicode"),
        ('{"user_id": "u", "item_id": "i", ', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "not a JSON object"),
    ],
)
def test_a_bad_interaction_is_counted_with_its_line_and_the_rest_is_read(
    tmp_path: Path, line: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = '{"user_id": "u", "item_id": "i", "timestamp": 1}\n'
    path = tmp_path / "interactions.jsonl"
    path.write_text(good + "\n" + line + "\n" + good)
    bad_rows = BadRows()
    assert len(list(read_interactions(path, bad_rows))) == 2
    assert bad_rows.counts["interactions"] == {reason: 1}
    assert f"{path}:3: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"item_id": "B", "title": " ", "brand": None}, "the item has no text"),
        ({"item_id": "B", "price": 3}, "the item has no text"),
        ({"title": "a thing"}, "item_id is empty"),
        ({"item_id": "B", "title": {"en": "a thing"}}, "title is neither text nor a list of texts"),
    ],
)
def test_a_bad_item_is_counted(tmp_path: Path, row: dict[str, object], reason: str) -> None:
    bad_rows = BadRows()
    path = write_jsonl(tmp_path / "items.jsonl", [*ROWS, row])
    assert list(read_items(path, bad_rows)) == EXPECTED
    assert bad_rows.counts["items"] == {reason: 1}


def test_a_missing_or_infinite_attribute_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pl.DataFrame(
        {"item_id": ["A"], "text": ["x"], "price": [float("nan")], "size": [None], "tags": [[]]}
    ).write_parquet(path)
    assert items_of(path) == [{"item_id": "A", "text": "x"}]


def test_a_nested_attribute_is_kept_as_json(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "items.jsonl", [{"item_id": "A", "text": "x", "size": {"w": 1}, "grid": [[1], [2]]}])
    assert items_of(path) == [{"item_id": "A", "text": "x", "size": '{"w": 1}', "grid": "[[1], [2]]"}]


def test_a_line_of_csv_with_too_few_cells_or_wrong_bytes_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "interactions.csv"
    path.write_bytes(b'user_id,item_id,timestamp\nu,"i\n1",1\nu,i\n\xff\xfe,i,3\nu,i,4,5\nu,"i"j,6\nu,i,7\n')
    bad_rows = BadRows()
    assert [row.timestamp for row in read_interactions(path, bad_rows)] == [1, 7]
    assert [example.split(": ")[0].rsplit(":")[-1] for example in bad_rows.examples] == ["4", "5", "6", "7"]
    assert bad_rows.counts["interactions"] == {
        "another number of cells than the header": 2,
        "the line is not UTF-8": 1,
        "not CSV": 1,
    }


def test_only_the_first_few_of_a_reason_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_jsonl(tmp_path / "items.jsonl", ROWS + [{"item_id": str(n)} for n in range(50)])
    bad_rows = BadRows()
    list(read_items(path, bad_rows))
    assert bad_rows.total("items") == 50
    assert len(bad_rows.examples) == capsys.readouterr().err.count("bad row") == 3


def _truncated_gzip() -> bytes:
    return gzip.compress(b'{"item_id": "A", "text": "x"}\n' * 10_000)[:-40]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items.parquet", b"PAR1 but not really", "not a Parquet file"),
        ("items.parquet", b"", "not a Parquet file"),
        ("items.jsonl.gz", _truncated_gzip(), "damaged gzip"),
        ("items.jsonl.gz", b"\x1f\x8b" + b"\x07" * 50, "damaged gzip"),
        ("items.jsonl", bytes(range(256)) * 20, "not a text file"),
        ("items.jsonl", b"\xff\xfe{\0}\0", "not a text file in UTF-8, but in UTF-16: .*iconv -f UTF-16"),
        ("items.jsonl", b"\x80abc\n\x81def\n", ":1 is not UTF-8: .*iconv"),
        ("items.jsonl", b'{"id": 1}\n{"id": 2}\n', "no row .* can be used; the first: .*jsonl:1: item_id is empty"),
        ("items.csv", b"id,title\n1,x\n", "no column item_id; it has: id, title"),
        ("items.csv", b"item_id,price\n1,2\n", "no column of text"),
        ("items.csv", b'item_id,text\n1,"never closed\n2,x\n', ":2: a quote is opened and never closed"),
        ("items.xlsx", b"PK", "not a table"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        items_of(path)


@pytest.mark.parametrize("name", ["items.parquet", "items.csv", "items.jsonl"])
def test_a_missing_file_and_a_folder_in_its_place_are_clear_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        items_of(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        items_of(tmp_path / name)


def test_a_table_of_interactions_without_a_column_names_it(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    pl.DataFrame({"user": ["u"], "item_id": ["i"], "timestamp": [1]}).write_parquet(path)
    with pytest.raises(DataError, match="no column user_id; it has: user, item_id, timestamp"):
        list(read_interactions(path, BadRows()))


def test_a_source_is_opened_by_what_its_format_needs(tmp_path: Path) -> None:
    items, interactions = tmp_path / "a.csv", tmp_path / "b.csv"
    assert open_source("table", items=items, interactions=interactions) == TableSource(items, interactions)
    with pytest.raises(DataError, match="`table` needs"):
        open_source("table", items=items)
    with pytest.raises(DataError, match="`unisrec` needs"):
        open_source("unisrec", items=items, interactions=interactions)
    with pytest.raises(DataError, match="`amazon2023` needs"):
        open_source("amazon2023", items=items, interactions=interactions, category="Books")


@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    pl.DataFrame(ROWS).write_parquet(folder / "items.parquet")
    plain = write_jsonl(folder / "items.jsonl", ROWS)
    (folder / "items.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (folder / "items.csv").write_text('item_id,title\nA,"Nail, 40 mm"\nB,Screw\n')
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    # polars 2.1 aborts the process over some flipped bytes inside a Parquet file, so that one is only cut off
    for _ in range(0 if path.suffix == ".parquet" else data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(DataError):
        items_of(path)
