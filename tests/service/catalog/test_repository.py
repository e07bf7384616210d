"""Items written to Redis, beside others who write there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from service.catalog.directory import AdapterChoice, DomainDirectory, WantedDomain
from service.catalog.keys import DomainKeys
from service.catalog.record import ItemRecord
from service.catalog.repository import CatalogueRepository, ItemWrite
from service.catalog.scripts import PUT_ITEM
from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis

pytestmark = pytest.mark.anyio

COUNT = 50


def write(number: int) -> ItemWrite:
    text = f"text {number}"
    record = ItemRecord(text=text, text_sha256=sha256(text.encode()).hexdigest(), attributes={}, available=True)
    return ItemWrite(f"item-{number}", record, b"", b"vector", b"code")


class Halves:
    """Passes on to a socket what comes: the first ``size`` bytes at once, the rest when it is told to."""

    def __init__(self, target: str, size: int) -> None:
        self._target, self._size = target, size
        self.first_half_answered = asyncio.Event()
        self.go_on = asyncio.Event()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[str]:
        server = await asyncio.start_unix_server(self._pass_on, path)
        async with server:
            yield f"unix://{quote(str(path))}"

    async def _pass_on(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        answers = asyncio.create_task(self._answers(from_server, to_client))
        left = self._size
        while data := await from_client.read(left or 1 << 16):
            to_server.write(data)
            left = max(0, left - len(data))
            if not left:
                await self.go_on.wait()
        to_server.close()
        await answers

    async def _answers(self, from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await from_server.read(1 << 16):
            to_client.write(data)
            if b"NOSCRIPT" in data or b"stored" in data:
                self.first_half_answered.set()
        to_client.close()


async def test_writes_are_carried_out_once_where_another_makes_the_script_known_in_their_midst(tmp_path: Path) -> None:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        other = RedisClient(url, 5, 8, Metrics())
        await DomainDirectory(other).choose(WantedDomain("shop", "i", 1, "o", AdapterChoice("a", "a" * 64), None))
        halves = Halves(url.removeprefix("unix://"), size=10_000)
        async with halves.listening(tmp_path / "halves.sock") as slow_url:
            redis = RedisClient(slow_url, 30, 8, Metrics())
            putting = asyncio.create_task(
                CatalogueRepository(redis, "shop", 1000).put("q", [write(n) for n in range(COUNT)])
            )
            await asyncio.wait_for(halves.first_half_answered.wait(), 30)
            await other.run(other.commands.script_load(PUT_ITEM))
            halves.go_on.set()
            changes = await putting
            await redis.close()
        assert None not in changes
        assert await other.run(other.commands.xlen(DomainKeys("shop").changes)) == COUNT
        await other.close()
