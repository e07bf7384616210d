from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.attributes import Attributes, Column
from service.catalog.filters import Filter
from service.catalog.item import AttributeValue
from tests.plain_filters import fulfils

Item = Mapping[str, AttributeValue]

ITEMS: list[Item] = [
    {"category": ["sanding", "tools"], "price": 10, "in_stock": True, "brand": "makita"},
    {"category": ["tools"], "price": 20.0, "in_stock": False, "brand": "bosch"},
    {"category": "sanding", "price": 30, "in_stock": 1},
    {"price": "20", "in_stock": "true"},
    {},
]


@pytest.mark.parametrize(
    ("wanted", "slots"),
    [
        ({"category": "sanding"}, [0, 2]),
        ({"category": ["sanding", "tools"]}, [0, 1, 2]),
        ({"category": {"all": ["sanding", "tools"]}}, [0]),
        ({"category": {"all": ["sanding", "sanding"]}}, [0, 2]),
        ({"category": {"all": ["sanding", "unheard of"]}}, []),
        ({"category": {"none": ["sanding"]}}, [1, 3, 4]),
        ({"category": {"any": ["tools"], "none": ["sanding"]}}, [1]),
        ({"in_stock": True}, [0]),
        ({"in_stock": 1}, [2]),
        ({"in_stock": "true"}, [3]),
        ({"in_stock": False}, [1]),
        ({"price": 20}, [1]),
        ({"price": "20"}, [3]),
        ({"price": [10, "20"]}, [0, 3]),
        ({"price": {"lte": 20}}, [0, 1]),
        ({"price": {"lt": 20}}, [0]),
        ({"price": {"gt": 20}}, [2]),
        ({"price": {"gte": 20}}, [1, 2]),
        ({"price": {"gt": 10, "lt": 30}}, [1]),
        ({"price": {"gt": 30, "lt": 10}}, []),
        ({"price": {"lte": 20}, "category": "sanding"}, [0]),
        ({"unheard of": "x"}, []),
        ({"unheard of": {"lt": 1}}, []),
        ({"unheard of": {"none": ["x"]}}, [0, 1, 2, 3, 4]),
        ({}, [0, 1, 2, 3, 4]),
    ],
)
def test_a_filter_finds_these_items(wanted: object, slots: list[int]) -> None:
    mask = Attributes.build(ITEMS).matches(Filter.model_validate(wanted))
    assert mask.dtype == np.bool_
    assert np.flatnonzero(mask).tolist() == slots


def test_an_integer_beyond_the_doubles_is_larger_than_any_bound() -> None:
    attributes = Attributes.build([{"a": 10**400}, {"a": -(10**400)}, {"a": float("nan")}])
    assert attributes.matches(Filter.model_validate({"a": {"gt": 1e308}})).tolist() == [True, False, False]
    assert attributes.matches(Filter.model_validate({"a": {"lt": 0}})).tolist() == [False, True, False]


SCALARS = st.one_of(st.sampled_from(["x", "y", "1", "True"]), st.booleans(), st.integers(-2, 2), st.just(0.5))
VALUES = st.one_of(SCALARS, st.lists(st.sampled_from(["x", "y", "z"]), max_size=3))
NAMES = st.sampled_from(["a", "b"])
CATALOGUES = st.lists(st.dictionaries(NAMES, VALUES), max_size=8)
LISTS = st.lists(SCALARS, min_size=1, max_size=3)
CONDITIONS = st.one_of(
    SCALARS,
    LISTS,
    st.dictionaries(st.sampled_from(["any", "all", "none"]), LISTS, min_size=1),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), st.integers(-2, 2), min_size=1),
)


@given(CATALOGUES, st.dictionaries(NAMES, CONDITIONS))
def test_agrees_with_looking_at_each_item(items: list[Item], wanted: dict[str, Any]) -> None:
    mask = Attributes.build(items).matches(Filter.model_validate(wanted))
    assert mask.tolist() == [fulfils(item, wanted) for item in items]


@given(
    st.lists(st.tuples(CATALOGUES, st.randoms(use_true_random=False)), max_size=3), st.dictionaries(NAMES, CONDITIONS)
)
def test_gathered_columns_are_those_built_at_once(parts: list[tuple[list[Item], Any]], wanted: dict[str, Any]) -> None:
    chosen: list[tuple[Attributes, Any]] = []
    gathered: list[Item] = []
    for items, random in parts:
        slots = random.sample(range(len(items)), random.randint(0, len(items)))
        chosen.append((Attributes.build(items), np.array(slots, dtype=np.int64)))
        gathered += [items[slot] for slot in slots]
    attributes = Attributes.gather(chosen)
    at_once = Attributes.build(gathered)
    condition = Filter.model_validate(wanted)
    assert attributes.matches(condition).tolist() == at_once.matches(condition).tolist()
    assert [exact(attributes.of(slot)) for slot in range(len(gathered))] == [exact(item) for item in gathered]
    # Values that no item has any more are left behind.
    assert {name: set(texts(column)) for name, column in attributes.columns.items()} == {
        name: set(texts(column)) for name, column in at_once.columns.items()
    }


@given(CATALOGUES, st.randoms(use_true_random=False))
def test_items_in_another_order_keep_their_attributes(items: list[Item], random: Any) -> None:
    order = random.sample(range(len(items)), len(items))
    attributes = Attributes.build(items).ordered(np.array(order, dtype=np.int64))
    assert [exact(attributes.of(slot)) for slot in range(len(items))] == [exact(items[place]) for place in order]


@pytest.mark.parametrize(
    "value",
    [0, 0.0, -0.0, 1, 1.0, True, False, "1", "true", "", 'é漢\n"', [], [""], ["b", "a", "b"], 2**70, 1e300, 10**400],
)
def test_a_value_comes_back_as_json_gave_it(value: AttributeValue) -> None:
    others: list[AttributeValue] = [0, 0.0, -0.0, 1, 1.0, True, False, "1", "true", [], ["a", "b"]]
    attributes = Attributes.build([{"a": other} for other in others] + [{"a": value}])
    found = attributes.of(len(others))["a"]
    assert (type(found), repr(found)) == (type(value), repr(value))


def test_values_that_are_not_numbers_take_no_room_twice() -> None:
    column = Attributes.build([{"a": float("nan")}, {"a": float("nan")}, {"a": "x"}, {"a": "x"}]).columns["a"]
    assert texts(column) == ["NaN", '"x"']


@pytest.mark.parametrize("distinct", [300, 70_000])
def test_an_attribute_may_have_many_values(distinct: int) -> None:
    items: list[Item] = [{"sku": f"s{number}", "price": number} for number in range(distinct)]
    attributes = Attributes.build(items)
    assert np.flatnonzero(attributes.matches(Filter.model_validate({"sku": "s299"}))).tolist() == [299]
    cheap = attributes.matches(Filter.model_validate({"price": {"lt": 150}}))
    assert np.flatnonzero(cheap).tolist() == list(range(150))
    dear = attributes.matches(Filter.model_validate({"price": {"gte": 2}, "sku": {"none": ["s5"]}}))
    assert np.flatnonzero(~dear).tolist() == [0, 1, 5]


def texts(column: Column) -> list[str]:
    return [column.values.texts[number] for number in range(1, len(column.values))]


def exact(attributes: Item) -> dict[str, tuple[str, str]]:
    return {name: (type(value).__name__, repr(value)) for name, value in attributes.items()}
