from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.adapter import DomainAdapter
from service.catalog.filters import Filter
from service.catalog.item import CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.inference.search import Selection, most_popular, nearest
from tests.tiny_models import LAYOUT, TinyStore

COUNT = 600


@pytest.fixture(scope="module")
def adapter(tiny: TinyStore) -> DomainAdapter:
    return replace(tiny.load_adapter(), popularity={f"i{number:03}": number // 100 for number in range(0, COUNT, 2)})


@pytest.fixture(scope="module")
def snapshot(adapter: DomainAdapter) -> DomainSnapshot:
    """Codes repeat, and the last hundred items are in the fresh segment."""
    codes = np.random.default_rng(0).integers(0, 8, (200, LAYOUT.num_codebooks)).astype(LAYOUT.dtype)
    items = [
        CatalogueItem(f"i{number:03}", codes[number % 200], {"tenth": number % 10 == 0}, available=number % 5 != 0)
        for number in range(COUNT)
    ]
    return DomainSnapshot.build(adapter, items[:500]).with_changes(items[500:], ["i001"])


def user(snapshot: DomainSnapshot, item_id: str) -> npt.NDArray[np.float32]:
    code = snapshot.code(item_id)
    assert code is not None
    return snapshot.adapter.table.normalized(code[None])


def ids(snapshot: DomainSnapshot, item_id: str, selection: Selection, wanted: Filter | None = None) -> list[str]:
    return [hit.item_id for hit in nearest(snapshot, wanted, user(snapshot, item_id), [selection])[0]]


def test_items_of_one_code_come_from_both_segments_the_more_popular_first(snapshot: DomainSnapshot) -> None:
    hits = nearest(snapshot, None, user(snapshot, "i102"), [Selection(3)])[0]
    assert [hit.item_id for hit in hits] == ["i502", "i302", "i102"]
    assert len({hit.score for hit in hits}) == 1


def test_equally_popular_items_of_one_code_come_in_the_order_of_ids(snapshot: DomainSnapshot) -> None:
    assert ids(snapshot, "i103", Selection(3)) == ["i103", "i303", "i503"]


def test_of_one_code_what_the_user_has_had_comes_last_with_its_score(snapshot: DomainSnapshot) -> None:
    selection = Selection(3, seen=frozenset({"i502", "i302", "never there"}))
    hits = nearest(snapshot, None, user(snapshot, "i102"), [selection])[0]
    assert [hit.item_id for hit in hits] == ["i102", "i502", "i302"]
    assert len({hit.score for hit in hits}) == 1


def test_what_the_user_has_had_is_filtered_excluded_and_ranked_like_the_rest(snapshot: DomainSnapshot) -> None:
    everything = ids(snapshot, "i102", Selection(COUNT))
    assert sorted(ids(snapshot, "i102", Selection(COUNT, seen=frozenset(everything)))) == sorted(everything)
    excluded = Selection(COUNT, exclude=frozenset({"i302"}), seen=frozenset({"i302", "i100"}))  # i100 is unavailable
    assert sorted(ids(snapshot, "i102", excluded)) == sorted(set(everything) - {"i302"})


def test_excluded_items_make_room_for_others(snapshot: DomainSnapshot) -> None:
    without = ids(snapshot, "i102", Selection(12, frozenset({"i302", "never there"})))
    everything = ids(snapshot, "i102", Selection(13))
    assert without == [item_id for item_id in everything if item_id != "i302"]


def test_many_excluded_items_make_room_for_others(snapshot: DomainSnapshot) -> None:
    everything = ids(snapshot, "i102", Selection(COUNT))
    excluded = frozenset(everything[: len(everything) - 5])
    assert len(excluded) > 256
    assert ids(snapshot, "i102", Selection(10, excluded)) == everything[-5:]


def test_many_and_few_exclusions_in_one_search_do_not_disturb_each_other(snapshot: DomainSnapshot) -> None:
    everything = ids(snapshot, "i102", Selection(COUNT))
    selections = [Selection(5, frozenset(everything[:450])), Selection(5), Selection(7, frozenset(everything[:3]))]
    together = nearest(snapshot, None, np.repeat(user(snapshot, "i102"), 3, axis=0), selections)
    alone = [nearest(snapshot, None, user(snapshot, "i102"), [selection])[0] for selection in selections]
    assert together == alone


def test_every_available_item_is_found_when_as_many_are_asked_for(snapshot: DomainSnapshot) -> None:
    found = ids(snapshot, "i102", Selection(COUNT))
    assert sorted(found) == [f"i{number:03}" for number in range(COUNT) if number % 5 and number != 1]


def test_a_filter_is_applied_before_the_best_are_taken(snapshot: DomainSnapshot) -> None:
    assert ids(snapshot, "i102", Selection(10), Filter.model_validate({"tenth": True})) == []
    found = ids(snapshot, "i102", Selection(10), Filter.model_validate({"tenth": False}))
    assert found == ids(snapshot, "i102", Selection(10))


def test_popular_items_come_by_popularity_then_by_id_and_the_unknown_last(snapshot: DomainSnapshot) -> None:
    hits = most_popular(snapshot, None, Selection(COUNT, frozenset({"i502"})))
    offered = [number for number in range(COUNT) if number % 5 and number not in (1, 502)]
    popularity = {number: number // 100 if number % 2 == 0 else 0 for number in offered}
    assert [hit.item_id for hit in hits] == [
        f"i{number:03}" for number in sorted(offered, key=lambda number: (-popularity[number], number))
    ]
    assert [hit.score for hit in hits[:2]] == [5.0, 5.0]
    assert most_popular(snapshot, None, Selection(7, frozenset({"i502"}))) == hits[:7]
