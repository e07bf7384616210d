"""Fifty domains flood, and one that asks now and then is answered: what the edge and the fair queue do together."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from service.inference.batcher import BatcherConfig, MicroBatcher
from service.metrics import Metrics
from tests.service.edge.served import WAIT_SECONDS, Client, connected, make_edge, served

pytestmark = pytest.mark.anyio

FLOODS, CLIENTS, LARGEST = 50, 2, 8
DOMAINS = [f"flood-{number}" for number in range(FLOODS)]


@dataclass
class Shops:
    """An application that computes in batches; notes how many were begun while a request of ``light`` waited."""

    batcher: MicroBatcher[str, str]
    batches: list[Sequence[str]]  # that were computed
    waited: list[int] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        domain = scope["path"].split("/")[3]
        before = len(self.batches)
        await self.batcher.submit(domain, ("one", domain))
        if domain == "light":
            self.waited.append(len(self.batches) - before)
        scope["state"]["status"] = 200
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def test_one_that_asks_now_and_then_is_answered_while_fifty_flood() -> None:
    metrics, batches, statuses = Metrics(), list[Sequence[str]](), Counter[int]()

    def work(values: Sequence[str]) -> Sequence[str]:
        batches.append(values)
        return values

    with ThreadPoolExecutor(1) as pool:
        batcher: MicroBatcher[str, str] = MicroBatcher(
            "test", work, pool, metrics, BatcherConfig(largest_batch=LARGEST, queue_size=64)
        )
        app = Shops(batcher, batches)
        edge = make_edge(metrics, known=[*DOMAINS, "light"], fewest=16, most=64, longest_wait=0.001)
        async with served(app, edge) as port:
            floods = [asyncio.create_task(flood(port, domain, statuses)) for domain in DOMAINS for _ in range(CLIENTS)]
            async with connected(port) as light, asyncio.timeout(WAIT_SECONDS):
                assert [await asked(light, "light") for _ in range(8)] == [200] * 8
            for each in floods:
                each.cancel()
            await asyncio.wait(floods)
        await batcher.stop()
    assert statuses[429] > FLOODS
    assert set(statuses) == {200, 429}
    # One job of each flow comes before it, and what is computed when it comes.
    assert max(app.waited) <= (FLOODS + 1) // LARGEST + 3


async def flood(port: int, domain: str, statuses: Counter[int]) -> None:
    async with connected(port) as client:
        while True:
            statuses[await asked(client, domain)] += 1


async def asked(client: Client, domain: str) -> int:
    client.ask(f"/v1/domains/{domain}/recommendations")
    return (await client.answer())[0]
