"""The text that an item is encoded by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidItemError
from models.item_text import compose_text, text_sha256


def test_text_wins_over_the_other_fields() -> None:
    assert compose_text({"text": " a  drill\n", "title": "Not this"}) == "a drill"


def test_fields_come_in_a_fixed_order_whatever_the_items_own() -> None:
    item = {"description": "Runs long.", "categories": ["Tools", "Drills"], "brand": "Acme", "title": "Drill 10"}
    assert compose_text(item) == "Drill 10 Acme Tools Drills Runs long."


def test_empty_fields_and_those_of_no_concern_are_left_out() -> None:
    item: dict[str, object] = {
        "text": " ",
        "title": "Drill",
        "brand": None,
        "categories": [],
        "description": "",
        "price": 12,
    }
    assert compose_text(item) == "Drill"


def test_numbers_and_nested_categories_are_words() -> None:
    assert compose_text({"title": 501, "categories": [["Tools", "Saws"], None, "DIY"]}) == "501 Tools Saws DIY"


@pytest.mark.parametrize(
    "item", [{}, {"text": None}, {"text": " \t\n", "title": ""}, {"price": 3}, {"categories": ["", None]}]
)
def test_an_item_without_words_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(InvalidItemError):
        compose_text(item)


@given(st.text())
def test_composing_again_changes_nothing(text: str) -> None:
    try:
        composed = compose_text({"title": text})
    except InvalidItemError:
        assert not text.split()
        return
    assert compose_text({"text": composed}) == composed
    assert composed == " ".join(text.split())


def test_the_sha256_is_that_of_the_bytes_in_utf_8() -> None:
    assert text_sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert text_sha256("ä") != text_sha256("a")
