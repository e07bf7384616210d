from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.text_encoder import TextEncoder
from service.catalog.item import CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.errors import NotAvailableYetError, PayloadTooLargeError, UnknownDomainError, UnknownItemError
from service.inference.batcher import BatcherConfig
from service.inference.recommender import Recommender
from service.metrics import Metrics
from service.recommend.schemas import RecommendRequest
from service.recommend.service import Answer, RecommendService
from tests.tiny_models import MAX_HISTORY, TinyStore

pytestmark = pytest.mark.anyio

COUNT = 60


@dataclass(frozen=True)
class OneDomain:
    """A source of one domain, with real models."""

    served: DomainSnapshot
    recommender: Recommender
    encoder: TextEncoder

    def snapshot(self, domain: str) -> DomainSnapshot:
        if domain != "shop":
            raise UnknownDomainError(domain)
        return self.served

    async def encode_texts(self, domain: str, texts: Sequence[str]) -> npt.NDArray[np.float16]:
        self.snapshot(domain)
        return self.encoder.encode(texts)


def text_of(number: int) -> str:
    return f"article no {number}"


@pytest.fixture
async def service(tiny: TinyStore) -> AsyncIterator[RecommendService]:
    adapter = replace(tiny.load_adapter(), popularity={"i9": 4, "i4": 9})
    encoder = tiny.load_text_encoder()
    codes = adapter.quantizer.encode(encoder.encode([text_of(number) for number in range(COUNT)]))
    items = [
        CatalogueItem(f"i{number}", code, {"tenth": number % 10 == 0}, available=number != 13)
        for number, code in enumerate(codes)
    ]
    with ThreadPoolExecutor(1) as pool:
        recommender = Recommender(tiny.load_network(), pool, Metrics(), BatcherConfig())
        yield RecommendService(OneDomain(DomainSnapshot.build(adapter, items), recommender, encoder))
        await recommender.stop()


async def ask(service: RecommendService, history: list[Any], **fields: Any) -> Answer:
    request = RecommendRequest.model_validate({"history": history, **fields})
    return (await service.recommend("shop", [request]))[0]


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


async def test_a_known_history_is_answered_by_the_model(service: RecommendService) -> None:
    answer = await ask(service, ["i1", "i2"])
    assert len(answer.items) == 10
    assert {item.source for item in answer.items} == {"model"}
    assert not answer.fallback
    assert answer.unknown_history_items == []
    assert not {"i1", "i2", "i13"} & set(ids(answer))


async def test_unknown_ids_are_skipped_and_reported_once_in_order(service: RecommendService) -> None:
    answer = await ask(service, ["z", "i1", "y", "z", {"item_id": "i2"}])
    assert answer.unknown_history_items == ["z", "y"]
    assert answer.items == (await ask(service, ["i1", "i2"])).items


async def test_an_item_told_by_its_text_counts_as_the_item(service: RecommendService) -> None:
    by_text = await ask(service, ["i1", {"text": "  Article  no 2\n"}, "i3"], exclude_history=False)
    assert by_text.items == (await ask(service, ["i1", "i2", "i3"], exclude_history=False)).items


async def test_an_unavailable_item_counts_in_a_history(service: RecommendService) -> None:
    answer = await ask(service, ["i13"], limit=500, exclude_history=False)
    assert answer.unknown_history_items == []
    assert sorted(ids(answer)) == sorted(f"i{number}" for number in range(COUNT) if number != 13)


async def test_the_most_recent_part_counts_after_unknown_ids_are_dropped(service: RecommendService) -> None:
    recent = [f"i{number}" for number in range(20, 20 + MAX_HISTORY)]
    old = ["i1", "i2", "i3"]
    mixed = [*old, *(entry for item_id in recent for entry in (item_id, f"unknown {item_id}"))]
    long = await ask(service, mixed, exclude_history=False)
    assert long.items == (await ask(service, recent, exclude_history=False)).items
    assert not {*old, *recent} & set(ids(await ask(service, mixed, limit=500)))


async def test_history_and_named_items_are_excluded_unless_asked_for(service: RecommendService) -> None:
    everything = ids(await ask(service, ["i1"], limit=500, exclude_history=False))
    assert "i1" in everything
    answer = await ask(service, ["i1"], limit=500, exclude_item_ids=[everything[0], everything[1], "unknown"])
    assert ids(answer) == [item_id for item_id in everything[2:] if item_id != "i1"]


async def test_a_filter_leaves_as_many_as_match(service: RecommendService) -> None:
    answer = await ask(service, ["i1"], filter={"tenth": True}, return_attributes=True)
    assert sorted(ids(answer)) == ["i0", "i10", "i20", "i30", "i40", "i50"]
    assert [item.attributes for item in answer.items] == [{"tenth": True}] * 6


async def test_attributes_are_left_out_unless_asked_for(service: RecommendService) -> None:
    assert (await ask(service, ["i1"])).items[0].attributes is None


async def test_an_answer_holds_so_many_attributes(service: RecommendService, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = RecommendRequest.model_validate({"history": ["i1"], "limit": 10, "return_attributes": True})
    without = asked.model_copy(update={"return_attributes": False})
    monkeypatch.setattr("service.recommend.service.MOST_CHARACTERS", 20 * (len("tenth") + 8))
    assert len(await service.recommend("shop", [asked, asked, without, without])) == 4
    with pytest.raises(PayloadTooLargeError, match="ask for fewer items at a time, or leave out"):
        await service.recommend("shop", [asked, asked, asked])


async def test_a_wholly_unknown_history_falls_back_to_popular_items(service: RecommendService) -> None:
    answer = await ask(service, ["x", "y"], exclude_item_ids=["i9"], limit=2)
    assert [(item.item_id, item.source) for item in answer.items] == [("i4", "popular"), ("i0", "popular")]
    assert answer.fallback
    assert answer.unknown_history_items == ["x", "y"]


@pytest.mark.parametrize("history", [[], ["x"]])
async def test_without_a_fallback_nothing_comes(service: RecommendService, history: list[str]) -> None:
    answer = await ask(service, history, fallback="none")
    assert answer.items == []
    assert not answer.fallback


async def test_an_empty_history_that_asks_for_popular_items_gets_them(service: RecommendService) -> None:
    answer = await ask(service, [], fallback="popular", limit=500)
    assert ids(answer)[:2] == ["i4", "i9"]
    assert len(answer.items) == COUNT - 1
    assert answer.fallback


async def test_a_batch_gives_what_its_requests_get_alone(
    service: RecommendService, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: list[dict[str, Any]] = [
        {"history": ["i1", {"text": "new thing"}]},
        {"history": ["unknown"]},
        {"history": ["unknown"], "fallback": "none"},
        {"history": [{"text": "new thing"}, {"text": "another"}], "filter": {"tenth": True}},
        {"history": ["i5"], "limit": 500, "return_attributes": True},
    ]
    requests = [RecommendRequest.model_validate(one) for one in fields]
    alone = [await ask(service, **one) for one in fields]
    assert await service.recommend("shop", requests) == alone
    monkeypatch.setattr("service.recommend.aside._LARGE", 0)  # so that threads do what the event loop does otherwise
    assert await service.recommend("shop", requests) == alone


async def test_an_explanation_is_not_available_yet(service: RecommendService) -> None:
    with pytest.raises(NotAvailableYetError, match="explain"):
        await ask(service, ["i1"], explain=True)


async def test_an_unknown_domain_is_an_error(service: RecommendService) -> None:
    with pytest.raises(UnknownDomainError):
        await service.recommend("nowhere", [RecommendRequest.model_validate({"history": ["i1"]})])
    with pytest.raises(UnknownDomainError):
        await service.similar("nowhere", "i1", 10)


async def test_similar_items_leave_the_item_itself_out(service: RecommendService) -> None:
    answer = await service.similar("shop", "i1", 500)
    assert "i1" not in ids(answer)
    assert len(answer.items) == COUNT - 2
    assert [item.score for item in answer.items] == sorted((item.score for item in answer.items), reverse=True)
    assert len((await service.similar("shop", "i13", 3)).items) == 3
    with pytest.raises(UnknownItemError, match="no item 'nothing'"):
        await service.similar("shop", "nothing", 10)
