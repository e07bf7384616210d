from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adapter import DomainAdapter
from models.errors import InvalidCodesError
from service.catalog.filters import Filter
from service.catalog.item import AttributeValue, CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.inference.index.choice import IndexConfig
from service.inference.search import Hit, Selection, most_popular, nearest
from tests.tiny_models import LAYOUT, WIDTH, TinyStore

POPULARITY = {f"item-{number:03}": number % 7 for number in range(60)}


@pytest.fixture(scope="module")
def adapter(tiny: TinyStore) -> DomainAdapter:
    return replace(tiny.load_adapter(), popularity=POPULARITY)


def make_item(number: int, code_seed: int | None = None, available: bool = True) -> CatalogueItem:
    rng = np.random.default_rng(number if code_seed is None else code_seed)
    code = rng.integers(0, LAYOUT.codebook_size, LAYOUT.num_codebooks).astype(np.uint8)
    attributes: dict[str, AttributeValue] = {"parity": "even" if number % 2 == 0 else "odd", "number": number}
    return CatalogueItem(f"item-{number:03}", code, attributes, available)


def make_items(count: int) -> list[CatalogueItem]:
    return [make_item(number, code_seed=number % 40) for number in range(count)]


def content(snapshot: DomainSnapshot) -> dict[str, tuple[bytes, dict[str, Any], bool]]:
    items = list(snapshot.items())
    assert len(items) == len(snapshot) == len({item.item_id for item in items})
    return {item.item_id: (item.code.tobytes(), dict(item.attributes), item.available) for item in items}


def searched(snapshot: DomainSnapshot, wanted: Filter | None = None, limit: int = 20) -> list[list[Hit]]:
    users = np.random.default_rng(9).standard_normal((3, WIDTH)).astype(np.float32)
    users /= np.linalg.norm(users, axis=1, keepdims=True)
    selections = [Selection(limit), Selection(limit, frozenset({"item-001", "item-002"})), Selection(1)]
    return [*nearest(snapshot, wanted, users, selections), most_popular(snapshot, wanted, selections[1])]


def test_a_built_snapshot_holds_every_item_once(adapter: DomainAdapter) -> None:
    items = [make_item(2), make_item(1), make_item(2, code_seed=7)]
    snapshot = DomainSnapshot.build(adapter, items)
    assert content(snapshot) == content(DomainSnapshot.build(adapter, [items[2], items[1]]))
    assert len(snapshot) == 2


def test_get_gives_the_item_back(adapter: DomainAdapter) -> None:
    attributes: dict[str, AttributeValue] = {"a": "é", "b": True, "c": 1, "d": 1.0, "e": ["x"], "f": 2**60, "g": []}
    snapshot = DomainSnapshot.build(adapter, [replace(make_item(1), attributes=attributes, available=False)])
    found = snapshot.get("item-001")
    assert found is not None
    assert dict(found.attributes) == attributes
    assert [type(value) for value in found.attributes.values()] == [type(value) for value in attributes.values()]
    assert not found.available
    np.testing.assert_array_equal(found.code, make_item(1).code)
    assert snapshot.get("item-002") is None


def test_a_change_is_in_the_next_snapshot_and_not_in_the_old_one(adapter: DomainAdapter) -> None:
    before = DomainSnapshot.build(adapter, make_items(50))
    kept, found = content(before), searched(before)
    after = before.with_changes([make_item(3, code_seed=99), make_item(55)], ["item-004", "never there"])
    assert content(before) == kept
    assert searched(before) == found
    assert content(after).keys() == kept.keys() - {"item-004"} | {"item-055"}
    assert after.get("item-003").code.tolist() == make_item(3, code_seed=99).code.tolist()  # type: ignore[union-attr]
    assert after.get("item-004") is None
    assert after.code("item-004") is None


def test_the_last_upsert_of_an_id_wins_and_deletions_come_first(adapter: DomainAdapter) -> None:
    last = make_item(3, code_seed=98)
    after = DomainSnapshot.build(adapter, make_items(5)).with_changes([make_item(3), last], ["item-003"])
    assert after.code("item-003").tolist() == last.code.tolist()  # type: ignore[union-attr]
    assert len(after) == 5


def test_the_same_changes_again_change_nothing(adapter: DomainAdapter) -> None:
    once = DomainSnapshot.build(adapter, make_items(20)).with_changes([make_item(3), make_item(30)], ["item-004"])
    twice = once.with_changes([make_item(3), make_item(30)], ["item-004"])
    assert content(twice) == content(once)
    assert searched(twice) == searched(once)


CHANGES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 59), st.integers(0, 4), st.booleans()), max_size=6),
        st.lists(st.integers(0, 59), max_size=6),
        st.booleans(),
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_however_it_came_about_a_catalogue_answers_alike(
    adapter: DomainAdapter, changes: Sequence[tuple[list[tuple[int, int, bool]], list[int], bool]]
) -> None:
    snapshot = DomainSnapshot.build(adapter, make_items(30))
    model = {item.item_id: item for item in make_items(30)}
    for upserts, deleted, compact in changes:
        items = [make_item(number, seed, available) for number, seed, available in upserts]
        gone = [f"item-{number:03}" for number in deleted]
        snapshot = snapshot.with_changes(items, gone)
        for item_id in gone:
            model.pop(item_id, None)
        model |= {item.item_id: item for item in items}
        snapshot = snapshot.compacted() if compact else snapshot
    built = DomainSnapshot.build(adapter, model.values())
    assert content(snapshot) == content(built)
    for wanted in (None, {"parity": "even"}, {"number": {"gte": 20}}, {"number": -1}):
        condition = None if wanted is None else Filter.model_validate(wanted)
        assert searched(snapshot, condition) == searched(built, condition) == searched(snapshot.compacted(), condition)


def test_it_asks_for_compaction_when_the_fresh_segment_is_large(adapter: DomainAdapter) -> None:
    snapshot = DomainSnapshot.build(adapter, [])
    snapshot = snapshot.with_changes([make_item(number) for number in range(1024)])
    assert not snapshot.needs_compaction
    snapshot = snapshot.with_changes([make_item(1024)])
    assert snapshot.needs_compaction
    assert not snapshot.compacted().needs_compaction
    assert content(snapshot.compacted()) == content(snapshot)


def test_it_asks_for_compaction_when_much_is_hidden(adapter: DomainAdapter) -> None:
    snapshot = DomainSnapshot.build(adapter, make_items(50)).with_changes([], [f"item-{n:03}" for n in range(10)])
    assert not snapshot.needs_compaction
    snapshot = snapshot.with_changes([], ["item-010"])
    assert snapshot.needs_compaction
    assert not snapshot.compacted().needs_compaction


def test_a_catalogue_may_be_empty(adapter: DomainAdapter) -> None:
    snapshot = DomainSnapshot.build(adapter, [])
    assert len(snapshot) == 0
    assert searched(snapshot) == [[], [], [], []]
    assert not snapshot.needs_compaction
    emptied = DomainSnapshot.build(adapter, make_items(2)).with_changes([], ["item-000", "item-001"])
    assert len(emptied) == len(emptied.compacted()) == 0
    assert searched(emptied) == [[], [], [], []]


def other_table(adapter: DomainAdapter) -> DomainAdapter:
    """An adapter of the same quantiser with another table and other popular items."""
    rows = np.random.default_rng(5).standard_normal(adapter.table.rows.shape).astype(np.float32)
    counts = {item_id: 9 - count for item_id, count in POPULARITY.items()}
    return replace(adapter, table=replace(adapter.table, rows=rows), popularity=counts)


@pytest.mark.parametrize("wanted", [None, {"parity": "even"}])
def test_under_another_table_it_is_what_would_be_built_with_it(adapter: DomainAdapter, wanted: object) -> None:
    other = other_table(adapter)
    snapshot = DomainSnapshot.build(adapter, make_items(40)).with_changes(
        [make_item(3, code_seed=99), make_item(55)], ["item-004"]
    )
    under = snapshot.under(other)
    built = DomainSnapshot.build(other, list(snapshot.items()))
    condition = None if wanted is None else Filter.model_validate(wanted)
    assert content(under) == content(snapshot)
    assert searched(under, condition) == searched(built, condition) != searched(snapshot, condition)
    assert searched(under.with_changes([make_item(56)]), condition) == searched(
        built.with_changes([make_item(56)]), condition
    )


def test_under_another_table_the_catalogue_is_shared(adapter: DomainAdapter) -> None:
    snapshot = DomainSnapshot.build(adapter, make_items(40))
    under = snapshot.under(other_table(adapter))
    assert under.large.columns is snapshot.large.columns
    assert under.fresh.columns is snapshot.fresh.columns


def test_the_codes_of_many_are_those_of_each(adapter: DomainAdapter) -> None:
    snapshot = DomainSnapshot.build(adapter, make_items(40)).with_changes(
        [make_item(3, code_seed=99), make_item(55)], ["item-004"]
    )
    wanted = [f"item-{number:03}" for number in (3, 4, 5, 55, 77, 5, 0)]
    for asked in (wanted, wanted * 50, [], ["nothing"]):  # few are looked up one by one
        codes, known = snapshot.codes(asked)
        assert codes.dtype == LAYOUT.dtype
        assert known.tolist() == [snapshot.code(item_id) is not None for item_id in asked]
        expected = [code.tolist() for code in map(snapshot.code, asked) if code is not None]
        assert codes.tolist() == expected
    assert DomainSnapshot.build(adapter, []).codes(["item-003"])[1].tolist() == [False]


def test_what_is_remembered_of_a_filter_follows_the_changes(adapter: DomainAdapter) -> None:
    even = Filter.model_validate({"parity": "even"})
    snapshot = DomainSnapshot.build(adapter, make_items(20))
    for deleted in (2, 4, 6):
        assert f"item-{deleted:03}" in {hit.item_id for hit in most_popular(snapshot, even, Selection(60))}
        snapshot = snapshot.with_changes([], [f"item-{deleted:03}"])
        assert f"item-{deleted:03}" not in {hit.item_id for hit in most_popular(snapshot, even, Selection(60))}


def test_unavailable_items_are_known_but_not_found(adapter: DomainAdapter) -> None:
    hidden = make_item(1, available=False)
    for snapshot in (
        DomainSnapshot.build(adapter, [hidden, make_item(2)]),
        DomainSnapshot.build(adapter, [make_item(1), make_item(2)]).with_changes([hidden]),
    ):
        assert snapshot.code("item-001") is not None
        assert {hit.item_id for hits in searched(snapshot) for hit in hits} == {"item-002"}


@pytest.mark.parametrize("code", [[0, 1, 2], [0, 1, 2, LAYOUT.codebook_size]])
def test_a_code_of_another_layout_is_refused(adapter: DomainAdapter, code: list[int]) -> None:
    item = replace(make_item(1), code=np.array(code, dtype=np.uint8))
    snapshot = DomainSnapshot.build(adapter, [])
    with pytest.raises(InvalidCodesError):
        DomainSnapshot.build(adapter, [item])
    with pytest.raises(InvalidCodesError):
        snapshot.with_changes([item])


def test_memory_grows_with_the_catalogue(adapter: DomainAdapter) -> None:
    small, large = (DomainSnapshot.build(adapter, make_items(count)) for count in (10, 60))
    assert 0 < small.memory_bytes() < large.memory_bytes()
    assert small.index_kind == "flat"


def test_a_compaction_keeps_the_partition_until_many_have_joined(adapter: DomainAdapter) -> None:
    codes = np.random.default_rng(0).integers(0, LAYOUT.codebook_size, (60_000, LAYOUT.num_codebooks))
    items = [CatalogueItem(f"{number}", code.astype(LAYOUT.dtype)) for number, code in enumerate(codes)]
    users = np.random.default_rng(1).standard_normal((64, WIDTH)).astype(np.float32)
    users /= np.linalg.norm(users, axis=1, keepdims=True)
    snapshot = DomainSnapshot.build(adapter, items[:50_000], IndexConfig("codes"), users)
    assert "lists" in snapshot.large.index_reason
    once = snapshot.with_changes(items[50_000:55_000], ["1", "2"]).compacted()
    assert once.large.index_reason == snapshot.large.index_reason
    assert once.large.joined == 5000
    assert once.large.index.recall is not None
    again = once.with_changes(items[55_000:], ["3"]).compacted()
    assert again.large.joined == 10_000
    assert again.with_changes(items[:5000]).compacted().large.joined == 0
    assert len(again) == 59_997
    for item in items[3:60_000:5000]:
        found = nearest(again, None, adapter.table.normalized(item.code[None]), [Selection(500)])[0]
        assert item.code.tolist() in [again.code(hit.item_id).tolist() for hit in found]  # type: ignore[union-attr]
