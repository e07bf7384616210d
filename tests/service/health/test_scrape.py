"""The metrics are written once for all who ask together."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from service.health.scrape import Scrape

pytestmark = pytest.mark.anyio


class Counted(Collector):
    """Counts how often it is collected."""

    def __init__(self) -> None:
        self.times = 0

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        yield Metric("counted", "How often.", "gauge")


async def test_those_who_ask_together_get_one_document_and_who_asks_later_another() -> None:
    registry, counted = CollectorRegistry(auto_describe=False), Counted()
    registry.register(counted)
    counted.times = 0
    with ThreadPoolExecutor(1) as thread:
        scrape = Scrape(registry, thread)
        documents = await asyncio.gather(*(scrape.document() for _ in range(50)))
        assert counted.times == 1
        assert set(documents) == {b"# HELP counted How often.\n# TYPE counted gauge\n"}
        await scrape.document()
        assert counted.times == 2


async def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    registry = CollectorRegistry()
    with ThreadPoolExecutor(1) as thread:
        scrape = Scrape(registry, thread)
        gone, stays = asyncio.ensure_future(scrape.document()), asyncio.ensure_future(scrape.document())
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == b""
