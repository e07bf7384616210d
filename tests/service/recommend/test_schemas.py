import math

import pytest
from pydantic import BaseModel, ValidationError

from service.recommend.schemas import (
    MAX_EXCLUDED,
    MAX_HISTORY_ENTRIES,
    MAX_TEXTS,
    BatchRequest,
    HistoryText,
    RecommendRequest,
)

HISTORY = {"history": ["B001"]}


def complaints(model: type[BaseModel], raw: object) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(raw)
    return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in refused.value.errors()]


def test_the_defaults_are_the_documented_ones() -> None:
    request = RecommendRequest.model_validate(HISTORY)
    assert request.model_dump(exclude={"history"}) == {
        "limit": 10,
        "filter": None,
        "exclude_item_ids": [],
        "exclude_history": True,
        "fallback": "popular",
        "explain": False,
        "return_attributes": False,
    }


def test_a_whole_number_is_an_integer_to_json() -> None:
    limit = RecommendRequest.model_validate(HISTORY | {"limit": 10.0}).limit
    assert (limit, type(limit)) == (10, int)


def test_a_history_mixes_ids_and_texts() -> None:
    raw = {
        "history": ["B001", {"item_id": "木"}, {"item_id": "c", "text": None}, {"item_id": None, "text": "a sander"}]
    }
    assert RecommendRequest.model_validate(raw).history == ["B001", "木", "c", HistoryText("a sander")]


@pytest.mark.parametrize("item_id", ["", "a" * 4096, "\0", "\u200b"])
def test_an_id_that_no_item_can_have_is_no_error(item_id: str) -> None:
    raw = {"history": [item_id, {"item_id": item_id}], "exclude_item_ids": [item_id]}
    assert RecommendRequest.model_validate(raw).history == [item_id] * 2


@pytest.mark.parametrize("fallback", ["popular", "none"])
def test_an_empty_history_needs_a_named_fallback(fallback: str) -> None:
    assert RecommendRequest.model_validate({"history": [], "fallback": fallback}).fallback == fallback
    assert "name the fallback" in complaints(RecommendRequest, {"history": []})[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"history": None}, "history"),
        ({"history": "B001"}, "history"),
        ({"history": ["x"] * (MAX_HISTORY_ENTRIES + 1)}, "history: List should have at most 1000 items"),
        ({"history": [{"item_id": "a", "text": "b"}]}, "exactly one of item_id and text"),
        ({"history": [{}]}, "exactly one of item_id and text"),
        ({"history": [{"id": "a"}]}, "exactly one of item_id and text"),
        ({"history": [{"item_id": "a", "more": 1}]}, "history.0.more"),
        ({"history": [1]}, "history.0: an entry is an item id"),
        ({"history": [None]}, "history.0: an entry is an item id"),
        ({"history": [["a"]]}, "history.0: an entry is an item id"),
        ({"history": ["a" * 4097]}, "history.0.item_id: String should have at most 4096 characters"),
        ({"history": [{"item_id": 1}]}, "history.0.item_id"),
        ({"history": [{"text": " \n\t"}]}, "history.0.text: the text holds no readable character"),
        ({"history": [{"text": "\u200b\u2060\0"}]}, "history.0.text: the text holds no readable character"),
        ({"history": [{"text": "a" * 20_001}]}, "history.0.text: String should have at most 20000 characters"),
        ({"history": ["\ud800"]}, "history.0.item_id"),
        ({"history": [{"item_id": "木\ud800"}]}, "history.0.item_id"),
        ({"history": [{"item_id": "a" * 4097}]}, "history.0.item_id: String should have at most 4096 characters"),
        ({"history": [{"item_id": None}]}, "exactly one of item_id and text"),
        ({"limit": 0}, "limit: Input should be greater than or equal to 1"),
        ({"limit": 501}, "limit: Input should be less than or equal to 500"),
        ({"limit": "10"}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10.5}, "limit"),
        ({"limit": math.nan}, "limit"),
        ({"limit": None}, "limit"),
        ({"explain": 1}, "explain"),
        ({"exclude_history": "yes"}, "exclude_history"),
        ({"fallback": "random"}, "fallback: Input should be 'popular' or 'none'"),
        ({"fallback": None}, "fallback"),
        ({"exclude_item_ids": ["x"] * (MAX_EXCLUDED + 1)}, "exclude_item_ids: List should have at most 10000 items"),
        ({"exclude_item_ids": [1]}, "exclude_item_ids.0"),
        ({"filter": {"price": {"lq": 1}}}, "filter.price: 'lq' is no operator"),
        ({"filter": []}, "filter"),
        ({"limits": 10}, "limits: Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(change: dict[str, object], words: str) -> None:
    messages = complaints(RecommendRequest, HISTORY | change)
    assert any(words in message for message in messages), messages


@pytest.mark.parametrize("raw", [{}, [], None, "text", 1])
def test_a_body_that_is_no_request_is_refused(raw: object) -> None:
    assert complaints(RecommendRequest, raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"requests": []}, "requests: List should have at least 1 item"),
        ({"requests": [HISTORY] * 257}, "requests: List should have at most 256 items"),
        ({"requests": [HISTORY, {"history": []}]}, "requests.1: the history is empty"),
        ({"requests": [{"history": [{"text": "x"}] * 501}] * 2}, f"at most {MAX_TEXTS} texts"),
        ([HISTORY], "valid dictionary"),
    ],
)
def test_a_batch_that_is_too_large_or_holds_nonsense_is_refused(raw: object, words: str) -> None:
    messages = complaints(BatchRequest, raw)
    assert any(words in message for message in messages), messages
