import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from models.adapter import DomainAdapter
from models.codes import Codes
from service.catalog.filters import Filter
from service.catalog.item import CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.errors import StoppingError
from service.inference.batcher import BatcherConfig
from service.inference.recommender import Query, Recommender
from service.metrics import Metrics
from tests.tiny_models import LAYOUT, MAX_HISTORY, TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

COUNT = 300


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyStore, list[DomainSnapshot]]:
    """Three shops of one network: two of one quantiser, the third with its own."""
    tiny = write_tiny_store(tmp_path_factory.mktemp("artifacts"), popularity={"i7": 3, "i8": 5})
    other = DomainAdapter.load(write_tiny_adapter(tiny, 1, domain="other").path)
    third = DomainAdapter.load(write_tiny_adapter(tiny, 2, domain="third", quantizer_seed=2).path)
    return tiny, [catalogue(adapter, seed) for seed, adapter in enumerate([tiny.load_adapter(), other, third])]


def catalogue(adapter: DomainAdapter, seed: int) -> DomainSnapshot:
    codes = np.random.default_rng(seed).integers(0, LAYOUT.codebook_size, (COUNT, LAYOUT.num_codebooks))
    items = [
        CatalogueItem(f"i{number}", code.astype(LAYOUT.dtype), {"odd": number % 2 == 1}, number % 11 != 0)
        for number, code in enumerate(codes)
    ]
    return DomainSnapshot.build(adapter, items[:250]).with_changes(items[250:])


@pytest.fixture
async def recommender(shops: tuple[TinyStore, list[DomainSnapshot]]) -> AsyncIterator[Recommender]:
    with ThreadPoolExecutor(1) as pool:
        recommender = Recommender(shops[0].load_network(), pool, Metrics(), BatcherConfig())
        yield recommender
        await recommender.stop()


def history(snapshot: DomainSnapshot, *numbers: int) -> Codes:
    codes = [snapshot.code(f"i{number}") for number in numbers]
    return snapshot.adapter.quantizer.layout.from_bytes([code.tobytes() for code in codes if code is not None])


def queries(snapshot: DomainSnapshot) -> list[Query]:
    odd, even = Filter.model_validate({"odd": True}), Filter.model_validate({"odd": [False]})
    return [
        Query("next", 10, history(snapshot, 1)),
        Query("next", 25, history(snapshot, *range(20, 20 + MAX_HISTORY)), exclude=frozenset({"i20", "i21"})),
        Query("next", 3, history(snapshot, 1, 2, 3, 4, 5), odd),
        Query("next", 5, history(snapshot, 5, 4, 3, 2, 1), even),
        Query("next", 500, history(snapshot, 0, 11), odd, frozenset(f"i{number}" for number in range(270))),
        Query("similar", 4, history(snapshot, 260), exclude=frozenset({"i260"})),
        Query("popular", 6, None, even, frozenset({"i8"})),
    ]


async def test_an_answer_is_the_same_alone_and_in_a_mixed_batch(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    jobs = [(snapshot, query) for snapshot in shops[1] for query in queries(snapshot)]
    alone = [await recommender.recommend(snapshot, query) for snapshot, query in jobs]
    together = await asyncio.gather(*(recommender.recommend(snapshot, query) for snapshot, query in jobs * 5))
    assert together == alone * 5
    for (_, query), found in zip(jobs, alone, strict=True):
        assert len({item.item_id for item in found}) == len(found) <= query.limit
        assert found == sorted(found, key=lambda item: (-item.score, item.item_id))


async def test_it_answers_alike_before_and_after_a_compaction(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    snapshot = shops[1][0]
    before = await recommender.recommend_all(snapshot, queries(snapshot))
    assert await recommender.recommend_all(snapshot.compacted(), queries(snapshot)) == before


async def test_scores_are_the_cosines_of_the_network_s_user_vector(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    tiny, (snapshot, *_) = shops
    codes = history(snapshot, 3, 1, 2)
    found = await recommender.recommend(snapshot, Query("next", COUNT, codes))
    table = snapshot.adapter.table
    user = tiny.load_network().user_vectors([table.raw(codes)])[0]
    offered = [item for item in snapshot.items() if item.available]
    layout = snapshot.adapter.quantizer.layout
    scores = table.normalized(layout.from_bytes([item.code.tobytes() for item in offered])) @ user
    assert {item.item_id: pytest.approx(item.score, abs=1e-6) for item in found} == {
        item.item_id: score for item, score in zip(offered, scores.tolist(), strict=True)
    }
    assert {item.source for item in found} == {"model"}


async def test_the_order_of_a_history_counts(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    snapshot = shops[1][0]
    one, other = await recommender.recommend_all(
        snapshot, [Query("next", 10, history(snapshot, *numbers)) for numbers in ((1, 2, 3), (3, 2, 1))]
    )
    assert one != other


async def test_what_matches_comes_whole_when_it_is_less_than_the_limit(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    snapshot = shops[1][0]
    wanted = Filter.model_validate({"odd": True})
    found = await recommender.recommend(snapshot, Query("next", 500, history(snapshot, 1), wanted))
    assert {item.item_id for item in found} == {f"i{n}" for n in range(1, COUNT, 2) if n % 11}


async def test_similar_items_are_the_nearest_without_itself(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    snapshot = shops[1][0]
    item = snapshot.get("i5")
    assert item is not None
    twin = replace(item, item_id="twin")
    snapshot = snapshot.with_changes([twin])
    found = await recommender.recommend(snapshot, Query("similar", 3, history(snapshot, 5), exclude=frozenset({"i5"})))
    assert found[0].item_id == "twin"
    assert found[0].score == pytest.approx(1)


async def test_popular_items_are_marked_as_such(
    recommender: Recommender, shops: tuple[TinyStore, list[DomainSnapshot]]
) -> None:
    found = await recommender.recommend(shops[1][0], Query("popular", 4))
    assert [(item.item_id, item.score) for item in found] == [("i8", 5), ("i7", 3), ("i1", 0), ("i10", 0)]
    assert {item.source for item in found} == {"popular"}


async def test_one_that_was_stopped_refuses(shops: tuple[TinyStore, list[DomainSnapshot]]) -> None:
    with ThreadPoolExecutor(1) as pool:
        recommender = Recommender(shops[0].load_network(), pool, Metrics(), BatcherConfig())
        await recommender.stop()
        with pytest.raises(StoppingError):
            await recommender.recommend(shops[1][0], Query("popular", 1))


async def test_another_domain_and_a_single_query_do_not_wait_for_all_of_many(
    shops: tuple[TinyStore, list[DomainSnapshot]],
) -> None:
    snapshot, order = shops[1][0], list[str]()
    with ThreadPoolExecutor(1) as pool:
        recommender = Recommender(shops[0].load_network(), pool, Metrics(), BatcherConfig(largest_batch=4))
        query = Query("popular", 1)

        async def ask(domain: str) -> None:
            await recommender.recommend(snapshot, query, domain)
            order.append(domain)

        async def ask_many() -> None:
            await recommender.recommend_all(snapshot, [query] * 40, "flood")
            order.append("many")

        await asyncio.gather(ask_many(), *(ask("flood") for _ in range(8)), ask("light"))
        await recommender.stop()
    assert order[-1] == "many"
    assert "light" in order[:3]
