"""The mark by which a process knows its Redis again."""

import pytest

from service.catalog.mark import StoreMark
from service.errors import RedisUnavailableError
from service.redis_client import RedisClient

pytestmark = pytest.mark.anyio

STORE = "vqrec:store"


@pytest.fixture
async def mark(redis: RedisClient) -> StoreMark:
    mark = StoreMark(redis, new_id=lambda: "first")
    await mark.claim()
    return mark


async def test_looking_writes_nothing(redis: RedisClient) -> None:
    mark = StoreMark(redis)
    await mark.look(serving=False)
    await mark.check()
    assert (mark.known, await redis.run(redis.commands.get(STORE))) == (None, None)


async def test_a_mark_is_never_replaced(redis: RedisClient, mark: StoreMark) -> None:
    later = StoreMark(redis, new_id=lambda: "second")
    await later.claim()
    assert later.known == mark.known == "first"


@pytest.mark.parametrize("found", [None, "second"])
async def test_who_serves_keeps_to_the_first(redis: RedisClient, mark: StoreMark, found: str | None) -> None:
    await redis.run(redis.commands.set(STORE, found) if found else redis.commands.delete(STORE))
    with pytest.raises(RedisUnavailableError):
        await mark.check()
    mark.ensure()  # which asks no one
    for _ in range(2):
        with pytest.raises(RedisUnavailableError):
            await mark.look(serving=True)
    with pytest.raises(RedisUnavailableError):
        mark.ensure()
    assert (mark.known, mark.changes) == ("first", 1)
    await redis.run(redis.commands.set(STORE, "first"))
    await mark.look(serving=True)
    mark.ensure()
    await mark.check()


@pytest.mark.parametrize("found", [None, "second"])
async def test_who_serves_nothing_takes_what_there_is(redis: RedisClient, mark: StoreMark, found: str | None) -> None:
    await redis.run(redis.commands.set(STORE, found) if found else redis.commands.delete(STORE))
    await mark.look(serving=False)
    mark.ensure()
    await mark.check()
    assert mark.known == found


async def test_what_was_read_while_the_mark_was_away_is_void(redis: RedisClient, mark: StoreMark) -> None:
    before = mark.changes
    await mark.check(before)
    await redis.run(redis.commands.delete(STORE))
    with pytest.raises(RedisUnavailableError):
        await mark.look(serving=True)
    await redis.run(redis.commands.set(STORE, "first"))
    await mark.look(serving=True)
    with pytest.raises(RedisUnavailableError):
        await mark.check(before)
    await mark.check(mark.changes)
