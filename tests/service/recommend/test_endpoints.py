import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from service.catalog.item import CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.errors import UnknownDomainError
from service.inference.batcher import BatcherConfig
from service.inference.recommender import Recommender
from service.metrics import Metrics
from service.problems import install_problem_handlers
from service.recommend.endpoints import router
from service.recommend.service import RecommendService
from service.security import Access, parse_keys
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

RECOMMEND = "/domains/shop/recommendations"
BATCH = "/domains/shop/recommendations:batch"
KEY = "a-key-that-may-read"


class WithState:
    """Stands for the lifespan, and what is noted of every request."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": dict(self._state)}, receive, send)


class Shop:
    """A source of one domain, ``shop``."""

    def __init__(self, snapshot: DomainSnapshot, recommender: Recommender, tiny: TinyStore) -> None:
        self._snapshot, self.recommender, self._encoder = snapshot, recommender, tiny.load_text_encoder()

    def snapshot(self, domain: str) -> DomainSnapshot:
        if domain != "shop":
            raise UnknownDomainError(f"there is no domain {domain!r}")
        return self._snapshot

    async def encode_texts(self, domain: str, texts: Any) -> Any:
        self.snapshot(domain)
        return self._encoder.encode(texts)


@pytest.fixture
async def client(tiny: TinyStore) -> AsyncIterator[httpx.AsyncClient]:
    adapter = replace(tiny.load_adapter(), popularity={"i9": 4})
    ids = [f"i{number}" for number in range(30)] + ["with/slash", "ünï code"]
    codes = adapter.quantizer.encode(tiny.load_text_encoder().encode(ids))
    items = [CatalogueItem(item_id, code, {"id": item_id}) for item_id, code in zip(ids, codes, strict=True)]
    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    with ThreadPoolExecutor(1) as pool:
        recommender = Recommender(tiny.load_network(), pool, Metrics(), BatcherConfig())
        service = RecommendService(Shop(DomainSnapshot.build(adapter, items), recommender, tiny))
        keys = parse_keys(f"{KEY}:read other-key:ingest")
        access = Access(keys, None, Metrics(), now=lambda: 0.0, clock=lambda: 0.0)
        state = {
            "request_id": "r-1",
            "started": 0.0,
            "app": SimpleNamespace(access=access, recommend=service, reading=asyncio.Semaphore(1)),
        }
        transport = httpx.ASGITransport(WithState(app, state))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-API-Key": KEY}) as client:
            yield client
        await recommender.stop()


async def test_a_recommendation_has_the_documented_fields(client: httpx.AsyncClient) -> None:
    response = await client.post(RECOMMEND, json={"history": ["i1", "nothing"], "limit": 2})
    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("took_ms") >= 0
    items = answer.pop("items")
    assert [set(item) for item in items] == [{"item_id", "score", "source"}] * 2
    assert answer.pop("adapter_version")
    assert answer == {
        "request_id": "r-1",
        "domain": "shop",
        "unknown_history_items": ["nothing"],
        "fallback": False,
    }


async def test_attributes_come_when_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.post(RECOMMEND, json={"history": ["i1"], "return_attributes": True})
    assert all(item["attributes"] == {"id": item["item_id"]} for item in response.json()["items"])


async def test_a_batch_answers_each_request_in_its_order(client: httpx.AsyncClient) -> None:
    requests = [{"history": ["i1"]}, {"history": ["x"], "limit": 1}, {"history": [{"text": "i1"}], "limit": 3}]
    results = (await client.post(BATCH, json={"requests": requests})).json()["results"]
    alone = [(await client.post(RECOMMEND, json=request)).json() for request in requests]
    assert [result["items"] for result in results] == [answer["items"] for answer in alone]
    assert [result["fallback"] for result in results] == [False, True, False]
    assert results[1]["items"] == [{"item_id": "i9", "score": 4.0, "source": "popular"}]


@pytest.mark.parametrize("item_id", ["i3", "with%2Fslash", "with/slash", "%C3%BCn%C3%AF%20code"])
async def test_similar_items_of_any_id(client: httpx.AsyncClient, item_id: str) -> None:
    response = await client.get(f"/domains/shop/items/{item_id}/similar", params={"limit": 4})
    assert response.status_code == 200
    answer = response.json()
    assert len(answer["items"]) == 4
    assert set(answer) == {"request_id", "domain", "adapter_version", "items", "took_ms"}
    assert (await client.get(f"/domains/shop/items/{item_id}/similar")).json()["items"][:4] == answer["items"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"history": ["i1"], "limit": NaN}', 400, "JSON"),
        (b'{"history": ["i1"], "filter": {"price": 1e999}}', 422, "finite number"),
        (b'{"history": ["i1"], "filter": {"price": {"lte": Infinity}}}', 400, "JSON"),
        (b'{"history": ["i1"]', 400, "JSON"),
        (b'{"history": ["\\ud800"]}', 400, "JSON"),
        (b'{"history": ["\xff"]}', 400, "JSON"),
        (b"[" * 100_000, 400, "JSON"),
        (b"", 422, "send a JSON document"),
        (b'{"history": []}', 422, "name the fallback"),
        (b'{"history": ["i1"], "limit": 1000000}', 422, "limit"),
        (b'{"history": ["i1"], "limit": "10"}', 422, "limit"),
        (b'{"history": ["i1"], "surprise": 1}', 422, "surprise"),
        (b'{"history": ["i1"], "explain": true}', 501, "explain"),
    ],
)
async def test_nonsense_is_answered_with_a_problem_that_says_what_is_wrong(
    client: httpx.AsyncClient, body: bytes, status: int, words: str
) -> None:
    response = await client.post(RECOMMEND, content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]


async def test_a_batch_says_which_of_its_requests_is_wrong(client: httpx.AsyncClient) -> None:
    requests = [{"history": ["i1"]}, {"history": ["i1"], "filter": {"price": {"below": 3}}}]
    response = await client.post(BATCH, json={"requests": requests})
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == "body.requests.1.filter.price"


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/domains/nowhere/items/i1/similar", "unknown-domain"),
        ("/domains/shop/items/nothing/similar", "unknown-item"),
        ("/domains/shop/items/i1/similar?limit=0", "invalid-request"),
        ("/domains/shop/items/i1/similar?limit=501", "invalid-request"),
        ("/domains/shop/items/i1/similar?limit=ten", "invalid-request"),
        ("/domains/Shop!/items/i1/similar", "invalid-request"),
    ],
)
async def test_what_is_not_there_is_a_problem(client: httpx.AsyncClient, path: str, slug: str) -> None:
    response = await client.get(path)
    assert response.status_code in (404, 422)
    assert response.json()["type"].endswith(slug)


async def test_an_unknown_domain_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.post("/domains/nowhere/recommendations", json={"history": ["i1"]})
    assert response.status_code == 404
    assert response.json()["type"].endswith("unknown-domain")


@pytest.mark.parametrize(("key", "status"), [("wrong", 401), ("", 401), ("other-key", 403)])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", RECOMMEND), ("POST", BATCH), ("GET", "/domains/shop/items/i1/similar")]
)
async def test_every_call_needs_a_key_that_may_read(
    client: httpx.AsyncClient, method: str, path: str, key: str, status: int
) -> None:
    response = await client.request(method, path, json={}, headers={"X-API-Key": key})
    assert response.status_code == status
