"""CSV as spreadsheets and data frames write it: refused with what to do, or read and noted, but never guessed at."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from training.errors import DataError
from training.readers.bad_rows import BadRows
from training.readers.source import ItemRow
from training.readers.tables import TableSource, read_interactions, read_items

GERMAN = "item_id,title,price\nA,Büroklammer,1.5\nB,Säge,2\nC,Nail,3\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def items_of(path: Path, bad_rows: BadRows | None = None) -> list[ItemRow]:
    return list(read_items(path, bad_rows or BadRows()))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        items_of(path)
    return caught.value.detail


def turned(told: str, folder: Path) -> list[ItemRow]:
    """The items after the user did what the message says."""
    command = told.partition("or turn it: ")[2]
    before = set(folder.iterdir())
    subprocess.run(["/bin/sh", "-euc", command], check=True)
    (made,) = set(folder.iterdir()) - before
    return items_of(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "items.csv is empty: its first line must name the columns"),
        ("\nitem_id,title\n", "items.csv:1: the first line is empty, and must name the columns"),
        (
            "item_id\ttitle\nA\tNail\n",
            "items.csv:1: the columns are separated by tabs, not commas: give the file a name ",
        ),
        ('item_id,"ti"tle\nA,Nail\n', "items.csv:1: the line that names the columns is not CSV"),
        (",item_id,title\n0,A,Nail\n", "items.csv:1: column 1 has no name: name it, or leave it out (the index of a "),
        (
            "item_id,title,size,size\nA,Nail,1,2\n",
            "items.csv:1: 2 columns are called size: give each a name of its own",
        ),
    ],
)
def test_a_first_line_that_names_no_columns_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "items.csv", text)
    assert refusal(path).startswith(f"{tmp_path}/{says}")


def test_commas_in_a_tsv_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "items.tsv", "item_id,title\nA,Nail\n")
    assert "separated by commas, not tabs: give the file a name that ends in .csv" in refusal(path)


def test_what_interactions_do_not_read_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", ",user_id,item_id,timestamp,x,x\n0,u,A,1,2,3\n")
    assert [row.item_id for row in read_interactions(path, BadRows())] == ["A"]
    empty = write(tmp_path / "empty.csv", "")
    with pytest.raises(DataError, match=r"empty\.csv is empty"):
        list(read_interactions(empty, BadRows()))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("|", "bars")])
def test_another_separator_is_told_with_a_command_that_turns_it(
    tmp_path: Path, separator: str, name: str, zipped: bool
) -> None:
    text = 'item_id;title;price\n007;"Nail; 40 mm";12,50\n'.replace(";", separator)
    path = write(tmp_path / "my items.csv", text)
    if zipped:
        path = Path(shutil.move(path, tmp_path / "my items.csv.gz"))
        path.write_bytes(gzip.compress(path.read_bytes()))
    told = refusal(path)
    assert told.startswith(f"{path}:1: the columns are separated by {name}, not commas: ")
    assert turned(told, tmp_path) == [{"item_id": "007", "title": f"Nail{separator} 40 mm", "price": "12,50"}]


def test_semicolons_in_another_encoding_are_told_one_after_the_other(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", GERMAN.replace(",", ";"), "cp1252")
    turn = refusal(path).partition("or turn it: ")[2]
    subprocess.run(["/bin/sh", "-euc", turn], check=True)
    with_commas = tmp_path / "commas-items.csv"
    assert turned(refusal(with_commas), tmp_path) == items_of(write(path, GERMAN))


def test_a_separator_is_told_by_the_first_line_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "item_id,title;de\nA,x;y\n")
    with pytest.raises(DataError, match="no column of text"):
        items_of(path)
    assert items_of(write(path, "item_id,title\nA,x;y;z\n")) == [{"item_id": "A", "title": "x;y;z"}]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_file_in_another_encoding_is_told_with_a_command_that_turns_it(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "items.csv", GERMAN, encoding)
    told = refusal(path)
    assert told.startswith(f"{path} is not UTF-8, nor are 2 of its lines, first 2: ")
    assert turned(told, tmp_path) == items_of(write(path, GERMAN))


def test_a_first_line_in_another_encoding_is_told_at_once(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "items.csv", "item_id,title,größe\nA,x,1\n", "latin-1")).startswith(
        f"{tmp_path}/items.csv:1 is not UTF-8: save it as UTF-8"
    )


def test_a_table_for_training_names_the_first_line_that_is_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", GERMAN.replace("Säge", "Saw"), "latin-1")
    with pytest.raises(DataError, match=r"items\.csv:2 is not UTF-8: .*iconv"):
        items_of(path, BadRows(strict=True))


def test_damaged_lines_among_others_with_accents_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(GERMAN.encode() + b"D,\xff\nE,\xfe\n")
    bad_rows = BadRows()
    assert [item["item_id"] for item in items_of(path, bad_rows)] == ["A", "B", "C"]
    assert bad_rows.counts["items"] == {"the line is not UTF-8": 2}


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["1.5", "2", "n/a", "soon"], None),  # as many numbers as not
        (["1.5", "2", "3", "12,50", "n/a"], "items.csv:5: price is '12,50' there, and no number in 2 of 5 items"),
        (["1,5", "", "3", "12,50"], "items.csv:2: price is '1,5' there, and no number in 2 of 3 items"),
        (["1.234,50", "1,234,567.5"], "items.csv:2: price is '1.234,50' there, and no number in 2 of 2 items"),
        (["1.5", "", "3", "nan"], "items.csv:5: price is 'nan' there, and no number in 1 of 3 items"),
        (["1", "2", "1_000"], "items.csv:4: price is '1_000' there, and no number in 1 of 3 items"),
        (["true", "no", "FALSE"], "items.csv:3: price is 'no' there, and no boolean in 1 of 3 items"),
        (["1", "2", "true"], "items.csv:4: price is 'true' there, and no number in 1 of 3 items"),
        (["1, 2", "3 mm", "1,2,3"], None),
        (["01067", "90210", "10115"], None),  # codes, kept as they are written
        (["S", "M", "42"], None),
        (["1.5", "2", ""], None),
    ],
)  # fmt: skip
def test_a_few_values_that_make_text_of_a_column_of_numbers_are_noted(
    tmp_path: Path, values: list[str], note: str | None
) -> None:
    rows = "".join(f'{number},x,"{value}"\n' for number, value in enumerate(values))
    path = write(tmp_path / "items.csv", f"item_id,title,price\n{rows}")
    bad_rows = BadRows()
    kept = [item.get("price") for item in items_of(path, bad_rows)]
    assert [noted.partition(": all of them")[0] for noted in bad_rows.notes] == ([f"{tmp_path}/{note}"] if note else [])
    if note:
        assert kept == [value or None for value in values]


def test_values_of_several_types_in_json_lines_are_noted(tmp_path: Path) -> None:
    text = "".join(
        f'{{"item_id": "{n}", "text": "x", "price": {price}, "tags": {tags}}}\n'
        for n, (price, tags) in enumerate([("1", '"a"'), ("2.5", '["b", "c"]'), ('"n/a"', "[]")])
    )
    path = write(tmp_path / "items.jsonl", text)
    bad_rows = BadRows()
    list(TableSource(path, path).items(bad_rows))
    (note,) = bad_rows.notes
    assert note.startswith(f"{path}:3: price is 'n/a' there, and no number in 1 of 3 items")
    assert note.endswith("no filter by number finds them. Write a number such as 12.50, or nothing")


def test_where_no_summary_follows_a_note_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "items.csv", "item_id,title,price\nA,x,1\nB,x,2\nC,x,n/a\n")
    items_of(path)
    assert capsys.readouterr().err == ""
    items_of(path, BadRows(strict=True))
    assert "note: " in capsys.readouterr().err
