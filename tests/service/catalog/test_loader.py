"""What a catalogue in Redis is in memory."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import structlog

from models.adapter import DomainAdapter
from service.catalog.columns import Columns
from service.catalog.directory import AdapterChoice, DomainDirectory, WantedDomain
from service.catalog.keys import DomainKeys
from service.catalog.loader import CatalogueLoader
from service.catalog.record import ItemRecord
from service.catalog.repository import CatalogueRepository, ItemWrite
from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis
from tests.tiny_models import TEXT_DIM, TinyStore

pytestmark = pytest.mark.anyio

COUNT = 2500  # more than a page
KEYS = DomainKeys("shop")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisClient]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        client = RedisClient(url, 5, 8, Metrics())
        await DomainDirectory(client).choose(WantedDomain("shop", "i", 1, "o", AdapterChoice("a", "a" * 64), None))
        yield client
        await client.close()


@pytest.fixture
def repository(redis: RedisClient) -> CatalogueRepository:
    return CatalogueRepository(redis, "shop", 1000)


@pytest.fixture
def loader(repository: CatalogueRepository, tiny: TinyStore) -> CatalogueLoader:
    return CatalogueLoader(repository, tiny.load_adapter(), ThreadPoolExecutor(1))


def write(number: int, adapter: DomainAdapter, coded: bool = True) -> ItemWrite:
    vector = np.random.default_rng(number).standard_normal(TEXT_DIM).astype(np.float16)
    (code,) = adapter.quantizer.layout.to_bytes(adapter.quantizer.encode(vector[None]))
    digest = sha256(b"%d" % number).hexdigest()
    record = ItemRecord(
        text=str(number),
        text_sha256=digest,
        attributes={"number": number, "half": number / 2},
        available=number % 3 > 0,
    )
    return ItemWrite(f"item-{number}", record, b"", vector.tobytes(), code if coded else None)


async def fill(repository: CatalogueRepository, adapter: DomainAdapter) -> dict[str, ItemWrite]:
    """Items of which every tenth has no code yet."""
    writes = {f"item-{number}": write(number, adapter, coded=number % 10 > 0) for number in range(COUNT)}
    await repository.put(adapter.quantizer.sha256, list(writes.values()))
    return writes


def check(columns: Columns, writes: dict[str, ItemWrite], adapter: DomainAdapter) -> None:
    items = [columns.item(slot) for slot in range(len(columns))]
    assert sorted(item.item_id for item in items) == sorted(writes)
    for item in items:
        expected = writes[item.item_id]
        vector = np.frombuffer(expected.vector or b"", dtype=np.float16)
        assert item.code.tolist() == adapter.quantizer.encode(vector[None])[0].tolist()
        assert item.attributes == expected.record.attributes
        assert item.available == expected.record.available


async def test_the_whole_catalogue_comes_with_codes_that_are_then_stored(
    loader: CatalogueLoader, repository: CatalogueRepository, tiny: TinyStore
) -> None:
    adapter = tiny.load_adapter()
    writes = await fill(repository, adapter)
    shares: list[float] = []
    check(await loader.load_all(shares.append), writes, adapter)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(await repository.get_codes(adapter.quantizer.sha256, list(writes)))


async def test_some_items_come_as_they_are_now(
    loader: CatalogueLoader, repository: CatalogueRepository, tiny: TinyStore
) -> None:
    adapter = tiny.load_adapter()
    writes = await fill(repository, adapter)
    wanted = ["item-10", "none", "item-11"]
    check(await loader.load(wanted), {name: writes[name] for name in wanted if name in writes}, adapter)
    assert len(await loader.load([])) == 0


async def test_the_code_of_another_text_is_not_taken(
    loader: CatalogueLoader, repository: CatalogueRepository, redis: RedisClient, tiny: TinyStore
) -> None:
    adapter = tiny.load_adapter()
    writes = {"item-1": write(1, adapter)}
    await repository.put(adapter.quantizer.sha256, list(writes.values()))
    await redis.commands.hset(KEYS.codes(adapter.quantizer.sha256), "item-1", b"another." + bytes(4))
    check(await loader.load_all(lambda _: None), writes, adapter)


async def test_what_cannot_be_read_is_left_out(
    loader: CatalogueLoader, repository: CatalogueRepository, redis: RedisClient, tiny: TinyStore
) -> None:
    adapter = tiny.load_adapter()
    left_out = ("item-20", "item-30", "item-40")  # which have no codes
    writes = {name: written for name, written in (await fill(repository, adapter)).items() if name not in left_out}
    await redis.commands.hset(KEYS.items, "damaged", b"1-1\n{")
    await redis.commands.hset(KEYS.items, b"no \xff id", b"1-1\n{}")
    await redis.commands.hdel(KEYS.vectors, "item-20")
    await redis.commands.hset(KEYS.vectors, "item-30", b"short")
    vector = np.zeros(adapter.quantizer.text_dim, "<f2")
    vector[-1] = np.inf
    await redis.commands.hset(KEYS.vectors, "item-40", vector.tobytes())
    with structlog.testing.capture_logs() as lines:
        columns = await loader.load_all(lambda _: None)
    check(columns, writes, adapter)
    assert sorted(line["item_id"] for line in lines if line["event"] == "item-without-vector") == list(left_out)


async def test_an_empty_catalogue(loader: CatalogueLoader) -> None:
    assert len(await loader.load_all(lambda _: None)) == 0
