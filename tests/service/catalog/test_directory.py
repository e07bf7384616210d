"""Domains in Redis: chosen, listed and deleted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from service.catalog.directory import AdapterChoice, DomainDirectory, WantedDomain
from service.catalog.record import ItemRecord
from service.catalog.repository import CatalogueRepository, ItemWrite
from service.errors import DamagedChoiceError, RedisForbidsError, RedisUnavailableError, UnknownDomainError
from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis

pytestmark = pytest.mark.anyio

T = TypeVar("T")

WRITE = ItemWrite("a", ItemRecord(text="a", text_sha256="ca" * 32, attributes={}, available=True), b"", b"\0\0", b"\1")
CHOICE = WantedDomain("shop", "i", 1, "operation", AdapterChoice("adapters/shop/a", "a" * 64), None)


class InterruptedRedis(RedisClient):
    """Lets another client do something once, right after the first command of this one."""

    interruption: Callable[[], Awaitable[object]] | None = None

    async def run(self, command: Awaitable[T]) -> T:
        result = await super().run(command)
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            await interruption()
        return result


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[tuple[InterruptedRedis, RedisClient]]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        interrupted, other = InterruptedRedis(url, 5.0, 8, Metrics()), RedisClient(url, 5.0, 8, Metrics())
        yield interrupted, other
        await interrupted.close()
        await other.close()


async def test_a_first_write_amid_a_delete_leaves_nothing(clients: tuple[InterruptedRedis, RedisClient]) -> None:
    interrupted, other = clients
    directory = DomainDirectory(interrupted)
    await directory.enlist("shop", "b" * 64)
    assert await directory.choose(CHOICE)
    repository = CatalogueRepository(other, "shop", 1000)

    async def write() -> None:
        with pytest.raises(UnknownDomainError):
            await repository.put("q", [WRITE])
        await repository.store_codes("q", {"a": b"code"})

    interrupted.interruption = write
    await directory.delete("shop")
    assert await other.run(other.commands.keys("vqrec:*")) == [b"vqrec:store"]


async def test_a_delete_takes_the_codes_of_every_quantiser(clients: tuple[InterruptedRedis, RedisClient]) -> None:
    _, redis = clients
    directory, repository = DomainDirectory(redis), CatalogueRepository(redis, "shop", 1000)
    assert await directory.choose(CHOICE)
    await repository.put("q", [WRITE])
    await repository.store_codes("r", {"a": b"code"})
    assert await repository.get_codes("r", ["a"]) == [b"code"]
    await directory.drop_other_codes("shop", {"q"})
    assert await repository.get_codes("r", ["a"]) == [None]
    await repository.store_codes("r", {"a": b"code"})
    await directory.delete("shop")
    await directory.delete("shop")
    assert await redis.run(redis.commands.keys("vqrec:*")) == []


async def test_a_new_domain_is_not_written_to_an_emptied_redis(clients: tuple[InterruptedRedis, RedisClient]) -> None:
    _, redis = clients
    directory = DomainDirectory(redis)
    await directory.enlist("shop", "b" * 64)
    await redis.run(redis.commands.flushall())
    with pytest.raises(RedisUnavailableError, match="emptied or replaced"):
        await directory.enlist("garden", "b" * 64)
    assert await redis.run(redis.commands.keys("*")) == []


async def test_two_processes_that_make_the_first_domains_agree_on_the_mark(
    clients: tuple[InterruptedRedis, RedisClient],
) -> None:
    one, two = (DomainDirectory(redis) for redis in clients)
    await one.enlist("shop", "b" * 64)
    await two.enlist("garden", "b" * 64)
    assert one.mark.known == two.mark.known is not None


@pytest.mark.parametrize("meanwhile", [{"revision": "2"}, {"more": "fields"}])
async def test_a_choice_that_was_mended_meanwhile_is_not_replaced(
    clients: tuple[InterruptedRedis, RedisClient], meanwhile: dict[str, str]
) -> None:
    _, redis = clients
    directory, key = DomainDirectory(redis), "vqrec:{shop}:adapter"
    assert await directory.choose(CHOICE)
    await redis.run(redis.commands.hset(key, "revision", "many"))
    with pytest.raises(DamagedChoiceError) as damaged:
        await directory.get("shop")
    await redis.run(redis.commands.hset(key, mapping=meanwhile))
    before = await redis.run(redis.commands.hgetall(key))
    assert not await directory.replace_damaged(CHOICE, damaged.value.stored)
    assert await redis.run(redis.commands.hgetall(key)) == before


@pytest.mark.parametrize(
    "revision", ["02", " 1", "0", "-3", "+1", "1_0", "", "9007199254740992", "9223372036854775807", "9" * 20]
)
async def test_a_revision_that_no_script_could_count_on_is_damage(
    clients: tuple[InterruptedRedis, RedisClient], revision: str
) -> None:
    _, redis = clients
    directory = DomainDirectory(redis)
    await directory.enlist("shop", "b" * 64)
    assert await directory.choose(CHOICE)
    await redis.run(redis.commands.hset("vqrec:{shop}:adapter", "revision", revision))
    assert await directory.list_all() == []
    assert directory.damaged == {"shop"}
    with pytest.raises(DamagedChoiceError) as damaged:
        await directory.get("shop")
    assert await directory.replace_damaged(CHOICE, damaged.value.stored)
    assert await directory.get("shop") == CHOICE
    assert await directory.choose(replace(CHOICE, revision=2))


async def test_the_last_revision_that_is_read_can_be_followed(clients: tuple[InterruptedRedis, RedisClient]) -> None:
    _, redis = clients
    directory, last = DomainDirectory(redis), (1 << 53) - 1
    assert await directory.choose(CHOICE)
    await redis.run(redis.commands.hset("vqrec:{shop}:adapter", "revision", str(last)))
    assert await directory.get("shop") == replace(CHOICE, revision=last)
    assert await directory.choose(replace(CHOICE, revision=last + 1))


async def test_a_choice_that_is_no_hash_is_damage_and_takes_nothing_from_others(
    clients: tuple[InterruptedRedis, RedisClient],
) -> None:
    _, redis = clients
    directory, key = DomainDirectory(redis), "vqrec:{shop}:adapter"
    garden = replace(CHOICE, domain="garden")
    for choice in (CHOICE, garden):
        await directory.enlist(choice.domain, "b" * 64)
        assert await directory.choose(choice)
    await redis.run(redis.commands.set(key, "no hash"))
    assert await directory.list_all() == [garden]
    assert directory.damaged == {"shop"}
    with pytest.raises(DamagedChoiceError) as damaged:
        await directory.get("shop")
    assert not await directory.replace_damaged(CHOICE, {b"revision": b"many"}), "it was a hash then"
    assert await directory.replace_damaged(CHOICE, damaged.value.stored)
    assert await directory.list_all() == [garden, CHOICE]
    assert not await directory.replace_damaged(CHOICE, damaged.value.stored), "it is a hash again"
    await redis.run(redis.commands.delete(key))
    assert not await directory.replace_damaged(CHOICE, damaged.value.stored), "it was deleted"


async def test_what_may_not_be_read_is_no_damage(clients: tuple[InterruptedRedis, RedisClient]) -> None:
    _, redis = clients
    directory = DomainDirectory(redis)
    await directory.enlist("shop", "b" * 64)
    assert await directory.choose(CHOICE)
    await redis.run(redis.commands.acl_setuser("default", enabled=True, nopass=True, commands=["-hgetall"]))
    with pytest.raises(RedisForbidsError):
        await directory.list_all()
    with pytest.raises(RedisForbidsError):
        await directory.get("shop")
