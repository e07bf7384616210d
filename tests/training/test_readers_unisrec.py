"""RecBole's atomic files and UniSRec's processed layout, written as their own scripts write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import DataError
from training.readers.bad_rows import BadRows
from training.readers.source import Interaction
from training.readers.unisrec import AtomicSource, find_atomic_files

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"


def write_published(folder: Path, histories: list[list[int]], longest: int) -> AtomicSource:
    """Prefixes longest first, cut to the last ``longest``, as UniSRec's ``process_amazon.py`` publishes them."""
    rows: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user, history in enumerate(histories):
        train = history[:-2]
        targets = [("train", position) for position in range(len(train) - 1, 0, -1)]
        for split, position in [*targets, ("valid", len(history) - 2), ("test", len(history) - 1)]:
            before = " ".join(map(str, history[:position][-longest:]))
            rows[split].append(f"{user}\t{before}\t{history[position]}\n")
    for split, lines in rows.items():
        (folder / f"Shop.{split}.inter").write_text(HEADER + "".join(lines))
    items = sorted({item for history in histories for item in history})
    (folder / "Shop.text").write_text("item_id:token\ttext:token_seq\n" + "".join(f"B{n}\tThing {n}.\n" for n in items))
    (folder / "Shop.item2index").write_text("".join(f"B{n}\t{n}\n" for n in items))
    (folder / "Shop.user2index").write_text("".join(f"user{n}\t{n}\n" for n in range(len(histories))))
    return find_atomic_files(folder)


@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=14), min_size=1, max_size=4), st.integers(3, 6))
def test_histories_come_back_whole_whatever_they_were_cut_to(
    tmp_path_factory: pytest.TempPathFactory, histories: list[list[int]], longest: int
) -> None:
    source = write_published(tmp_path_factory.mktemp("published"), histories, longest)
    bad_rows = BadRows()
    assert by_user(source, bad_rows) == {
        f"user{user}": [f"B{item}" for item in history] for user, history in enumerate(histories)
    }
    assert not bad_rows.counts


def by_user(source: AtomicSource, bad_rows: BadRows) -> dict[str, list[str]]:
    histories: dict[str, list[str]] = {}
    for user_id, item_id, position in source.interactions(bad_rows):
        history = histories.setdefault(user_id, [])
        assert position == len(history)
        history.append(item_id)
    return histories


def test_texts_carry_the_ids_that_the_index_gives(tmp_path: Path) -> None:
    source = write_published(tmp_path, [[3, 1, 2]], longest=50)
    assert list(source.items(BadRows())) == [{"item_id": f"B{n}", "text": f"Thing {n}."} for n in (1, 2, 3)]


def test_without_an_index_the_numbers_are_the_ids(tmp_path: Path) -> None:
    source = write_published(tmp_path, [[3, 1, 2]], longest=50)
    (tmp_path / "Shop.item2index").unlink()
    (tmp_path / "Shop.user2index").unlink()
    assert by_user(source, BadRows()) == {"0": ["3", "1", "2"]}


def test_a_row_that_does_not_continue_its_user_is_a_bad_row(tmp_path: Path) -> None:
    source = write_published(tmp_path, [[3, 1, 2, 4]], longest=50)
    (tmp_path / "Shop.test.inter").write_text(HEADER + "0\t9 9\t4\n")
    bad_rows = BadRows()
    assert by_user(source, bad_rows) == {"user0": ["B3", "B1", "B2"]}
    assert bad_rows.counts["interactions"] == {"the history does not continue the user's rows before it": 1}
    assert "Shop.test.inter:2:" in bad_rows.examples[0]


def test_plain_atomic_files_are_typed_by_their_headers(tmp_path: Path) -> None:
    (tmp_path / "ml.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t10\t5\t881250949\n1\t11\t3\t8.8e8\n1\t12\t3\n1\t12\t3\tnan\n"
    )
    (tmp_path / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\ttags:token_seq\tv:float_seq\n"
        "10\tToy Story\t1995\tAnimation Comedy\t9.5\tfunny warm\t0.1 0.2\n"
        "11\tHeat\t1995\tAction\t\t\t\n"
        "12\tCasino\t1995\tDrama\tcheap\t\t\n"
    )
    bad_rows = BadRows()
    source = find_atomic_files(tmp_path)
    assert list(source.items(bad_rows)) == [
        {
            "item_id": "10",
            "title": "Toy Story",
            "release_year": "1995",
            "categories": ["Animation Comedy"],
            "price": 9.5,
            "tags": ["funny", "warm"],
        },
        {"item_id": "11", "title": "Heat", "release_year": "1995", "categories": ["Action"]},
    ]
    assert list(source.interactions(bad_rows)) == [Interaction("1", "10", 881250949), Interaction("1", "11", 880000000)]
    assert bad_rows.counts == {
        "items": {"price is not a number": 1},
        "interactions": {"another number of fields than the header": 1, "timestamp is not finite": 1},
    }


def test_a_folder_must_hold_one_data_set_with_texts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        find_atomic_files(tmp_path / "none")
    with pytest.raises(DataError, match="it has: none"):
        find_atomic_files(tmp_path)
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n")
    with pytest.raises(DataError, match=r"neither a.text nor a.item"):
        find_atomic_files(tmp_path)
    (tmp_path / "b.train.inter").write_text(HEADER)
    with pytest.raises(DataError, match="it has: a, b"):
        find_atomic_files(tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("item_id\ttitle\n", "not an atomic file"),
        ("item_id:token\tprice:float\n", "no column of text"),
        ("id:token\ttitle:token_seq\n", "no column item_id"),
        ("", "not an atomic file"),
    ],
)
def test_a_header_that_says_too_little_is_a_clear_error(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n")
    (tmp_path / "a.item").write_text(header + "1\tx\n")
    with pytest.raises(DataError, match=message):
        list(find_atomic_files(tmp_path).items(BadRows()))
