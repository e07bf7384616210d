"""The whole service behind the edge, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from tests.running_service import RunningService, make_settings, until
from tests.service.edge.served import PATH, Client, connected, listening
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

FLOOD, FEWEST, MOST = 60, 4, 32
TEXTS = 256  # that may wait to be encoded
BODY = b'{"history": ["saw"]}'
JSON = "content-type: application/json"


@dataclass(frozen=True)
class Shop:
    """A service on a port, and what is seen of it inside."""

    port: int
    service: RunningService


@pytest.fixture
async def shop(tiny: TinyStore, tmp_path: Path) -> AsyncIterator[Shop]:
    """A service with two domains, of each of which it admits four requests at once, and 32 for a moment."""
    app = create_app(
        make_settings(
            tiny.root, tmp_path / "data", batch_size=2 * FEWEST, queue_milliseconds=0.001, text_queue_size=TEXTS
        )
    )
    async with app.router.lifespan_context(app) as lifespan_state:
        assert lifespan_state is not None
        state = lifespan_state["app"]
        async with (
            listening(app, state) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
        ):
            service = RunningService(http, state, app)
            await service.until_ready()
            for domain in ("shop", "other"):
                await service.serve(tiny.adapter, domain)
                await service.put_items({"saw": "a saw", "vice": "a vice"}, domain)
            yield Shop(port, service)


async def sample(shop: Shop, line: str) -> bool:
    return line in (await shop.service.http.get("/metrics")).text


async def test_a_flood_is_refused_and_health_and_another_domain_are_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher, edge = shop.service.state.registry.recommender._batcher, shop.service.state.edge
    async with AsyncExitStack() as stack:
        flood = [await stack.enter_async_context(connected(shop.port)) for _ in range(FLOOD)]
        with monkeypatch.context() as held:
            held.setattr(batcher, "_dispatch", lambda: None)
            answers = [asyncio.create_task(_asked(client, PATH)) for client in flood]

            async def all_are_in_or_refused() -> bool:
                return sum(answer.done() for answer in answers) + len(batcher._waiting) == FLOOD

            await until(all_are_in_or_refused)
            refused = [answer.result() for answer in answers if answer.done()]
            assert {status for status, _, _ in refused} == {429}
            assert {headers["retry-after"] for _, headers, _ in refused} == {"1"}
            assert FLOOD - MOST <= len(refused) <= FLOOD - FEWEST
            async with connected(shop.port) as client:
                for path in ("/livez", "/readyz", "/metrics"):
                    client.ask(path, b"", "GET")
                    assert (await client.answer())[0] == 200
            other = await stack.enter_async_context(connected(shop.port))
            light = asyncio.create_task(_asked(other, "/v1/domains/other/recommendations"))
            await until(lambda: sample(shop, f'vqrec_queue_depth{{queue="recommend"}} {FLOOD - len(refused) + 1}.0'))
        batcher._dispatch()
        assert (await light)[0] == 200
        assert sorted({status for status, _, _ in await asyncio.gather(*answers)}) == [200, 429]
    assert await sample(shop, f'vqrec_rejected_total{{reason="recommend_overload"}} {len(refused)}.0')
    assert edge.body_bytes == 0


async def test_what_nobody_waits_for_any_more_leaves_the_queue_and_is_not_computed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = shop.service.state.registry.recommender._batcher
    async with connected(shop.port) as staying:
        with monkeypatch.context() as held:
            held.setattr(batcher, "_dispatch", lambda: None)
            answer = asyncio.create_task(_asked(staying, PATH))
            async with connected(shop.port) as gone:
                gone.ask(PATH, BODY, "POST", JSON)
                await until(lambda: sample(shop, 'vqrec_queue_depth{queue="recommend"} 2.0'))
            await until(lambda: sample(shop, 'vqrec_queue_depth{queue="recommend"} 1.0'))
        batcher._dispatch()
        assert (await answer)[0] == 200
    assert await sample(shop, 'vqrec_batch_size_sum{queue="recommend"} 1.0')
    assert await sample(shop, 'route="/v1/domains/{domain}/recommendations",status="499"} 1.0')


async def test_a_flood_of_bulks_is_refused_and_another_domain_s_item_is_stored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = shop.service.state.registry._runtimes.current
    assert runtime is not None
    encoding, http = runtime.text_encoding, shop.service.http
    items = [[{"item_id": f"{bulk}-{number}", "text": f"tool {number}"} for number in range(128)] for bulk in range(6)]
    with monkeypatch.context() as held:
        held.setattr(encoding, "_start_threads", lambda _: None)
        bulks = [asyncio.create_task(http.post("/v1/domains/shop/items:bulk", json=each)) for each in items]

        async def some_are_refused() -> bool:
            return sum(bulk.done() for bulk in bulks) >= 4

        await until(some_are_refused)
        put = asyncio.create_task(http.put("/v1/domains/other/items/axe", json={"text": "an axe"}))
        depth = encoding._texts + 1
        await until(lambda: sample(shop, f'vqrec_queue_depth{{queue="text"}} {depth}.0'))
    encoding._start_threads(1)
    assert (await put).status_code == 201
    statuses = [answer.status_code for answer in await asyncio.gather(*bulks)]
    assert sorted(set(statuses)) == [200, 429]


async def _asked(client: Client, path: str) -> tuple[int, dict[str, str], bytes]:
    client.ask(path, BODY, "POST", JSON)
    return await client.answer()
