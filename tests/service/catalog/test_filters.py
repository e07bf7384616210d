import math

import pytest
from pydantic import ValidationError

from service.catalog.filters import MAX_KEYS, MAX_VALUES, Filter


def parse(raw: object) -> Filter:
    return Filter.model_validate(raw)


def complaint(raw: object) -> str:
    with pytest.raises(ValidationError) as refused:
        parse(raw)
    error = refused.value.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def test_a_value_and_a_list_of_it_ask_for_the_same() -> None:
    assert parse({"brand": "makita"}) == parse({"brand": ["makita"]}) == parse({"brand": {"any": ["makita"]}})


def test_equal_filters_are_one_key() -> None:
    first, second = parse({"a": ["x", "y"], "b": 1}), parse({"b": 1.0, "a": ["y", "x"]})
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(("boolean", "number"), [(True, 1), (False, 0)])
def test_a_boolean_is_no_number(boolean: bool, number: int) -> None:
    assert parse({"a": boolean}) != parse({"a": number})


def test_an_empty_filter_is_none() -> None:
    assert not parse({})
    assert parse({"a": 1})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"price": {"lq": 1}}, ["price", "'lq'", "any, all, none, gt, gte, lt, lte"]),
        ({"price": {}}, ["price", "empty object", "lte"]),
        ({"price": None}, ["price", "expected a value"]),
        ({"price": {"lte": None}}, ["price", "lte is null"]),
        ({"price": {"lte": "20"}}, ["price.lte", "finite number"]),
        ({"price": {"lte": True}}, ["price.lte", "finite number"]),
        ({"price": {"lte": math.nan}}, ["price.lte", "finite number"]),
        ({"price": {"gt": math.inf}}, ["price.gt", "finite number"]),
        ({"price": {"gt": 10**400}}, ["price.gt", "finite number"]),
        ({"price": math.nan}, ["price", "finite number"]),
        ({"price": [1, -math.inf]}, ["price", "finite number"]),
        ({"category": []}, ["category", "at least one value"]),
        ({"category": {"any": "sanding"}}, ["category.any", "list of values"]),
        ({"category": [["sanding"]]}, ["category", "a string, a boolean or a finite number"]),
        ({"category": [{"a": 1}]}, ["category", "a string, a boolean or a finite number"]),
        ({"category": [None]}, ["category", "a string, a boolean or a finite number"]),
        ({"category": {"any": {"any": ["x"]}}}, ["category.any", "list of values"]),
        ({"category": "\ud800"}, ["category", "lone surrogate"]),
        ({"": 1}, ["at least 1 character"]),
        ({"x" * 257: 1}, ["at most 256 characters"]),
        ({str(key): 1 for key in range(MAX_KEYS + 1)}, [str(MAX_KEYS)]),
        ({"a": list(range(MAX_VALUES + 1))}, [str(MAX_VALUES)]),
        ({"a": list(range(600)), "b": {"none": list(range(600))}}, [str(MAX_VALUES)]),
        (["a"], ["dictionary"]),
        ("a", ["dictionary"]),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(raw: object, words: list[str]) -> None:
    message = complaint(raw)
    assert all(word in message for word in words), message


def test_the_largest_filter_is_taken() -> None:
    assert parse({"a": list(range(MAX_VALUES))})
    assert parse({str(key): key for key in range(MAX_KEYS)})
