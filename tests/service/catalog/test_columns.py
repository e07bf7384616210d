import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.columns import Columns, ColumnsBuilder, joined
from tests.tiny_models import LAYOUT


def columns_of(names: list[str], start: int = 0) -> Columns:
    """Items whose code and attribute tell where they came from, repeats among them."""
    builder = ColumnsBuilder(LAYOUT)
    for number, name in enumerate(names, start=start):
        builder.add(name, bytes([number % 8, number // 8 % 8, 0, 0]), {"number": number}, number % 2 == 0)
    return builder.columns()


def content(columns: Columns) -> list[tuple[str, list[int], dict[str, object], bool]]:
    items = [columns.item(slot) for slot in range(len(columns))]
    return [(item.item_id, item.code.tolist(), dict(item.attributes), item.available) for item in items]


NAMES = st.lists(st.sampled_from("abcdefghij"), max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_joined_parts_hold_each_id_once_as_it_came_first(parts: list[list[str]]) -> None:
    columns = [columns_of(names, start=10 * number) for number, names in enumerate(parts)]
    first: dict[str, tuple[str, list[int], dict[str, object], bool]] = {}
    for part in columns:
        for item in content(part):
            first.setdefault(item[0], item)
    whole = joined(columns)
    assert content(whole) == list(first.values())
    assert [whole.ids.slot(name) for name in first] == list(range(len(first)))


@given(NAMES.map(lambda names: list(dict.fromkeys(names))), st.randoms(use_true_random=False))
def test_another_order_changes_nothing_else(names: list[str], random: object) -> None:
    columns = columns_of(names)
    order = random.sample(range(len(names)), len(names))  # type: ignore[attr-defined]
    moved = columns.ordered(np.array(order, dtype=np.int64))
    assert content(moved) == [content(columns)[slot] for slot in order]
    assert [moved.ids.slot(name) for name in names] == [order.index(slot) for slot in range(len(names))]
