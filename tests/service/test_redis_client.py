"""Commands run to their end, and outages are told from mistakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from service.catalog.directory import DomainDirectory
from service.errors import ConfigurationError, RedisUnavailableError
from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis

pytestmark = pytest.mark.anyio


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(url, 5.0, 2, Metrics())
    yield client
    await client.close()


async def test_a_command_is_carried_out_though_its_caller_is_cancelled(client: RedisClient) -> None:
    callers = [asyncio.create_task(client.run(client.commands.rpush("list", number))) for number in range(20)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    for number in range(20):  # no connection hands out the answer to another's command
        assert await client.run(client.commands.echo(str(number))) == str(number).encode()
    await client.close()
    assert await client.run(client.commands.llen("list")) == 20


async def test_more_callers_than_connections_wait_for_each_other(client: RedisClient) -> None:
    answers = await asyncio.gather(*(client.run(client.commands.echo(str(number))) for number in range(50)))
    assert answers == [str(number).encode() for number in range(50)]


async def test_closing_breaks_off_a_blocking_read(client: RedisClient) -> None:
    reading = asyncio.create_task(client.wait(client.blocking.xread({"stream": "$"}, block=0)))
    await client.run(client.commands.ping())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(RedisUnavailableError):
        await reading


async def test_a_mistake_is_no_outage(client: RedisClient) -> None:
    await client.run(client.commands.set("text", "value"))
    with pytest.raises(ResponseError):
        await client.run(client.commands.hget("text", "field"))


REFUSING = {
    "OOM": ("maxmemory", "1"),
    "NOREPLICAS": ("min-replicas-to-write", "1"),
}


@pytest.mark.parametrize("code", [*REFUSING, "READONLY"])
async def test_a_redis_that_takes_no_writes_is_an_outage_however_it_says_so(client: RedisClient, code: str) -> None:
    redis = client.commands
    await client.run(redis.set("text", "READONLY, says the text itself"))
    if code == "READONLY":
        await client.run(redis.replicaof("127.0.0.1", 1))  # where nobody listens
    else:
        await client.run(redis.config_set(*REFUSING[code]))
    script = redis.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
    pipeline, transaction = redis.pipeline(transaction=False), redis.pipeline(transaction=True)
    for each in (pipeline, transaction):
        each.set("text", "BUSY")
    scripts = redis.pipeline(transaction=False)
    scripts.evalsha(script.sha, 1, "text", "MISCONF")
    await client.run(redis.script_load(script.script))
    for refused in (
        redis.set("text", "value"),
        script(["text"], ["value"]),
        pipeline.execute(),
        transaction.execute(),
        scripts.execute(),
    ):
        with pytest.raises(RedisUnavailableError, match=f"takes no writes now \\({code}\\)"):
            await client.run(refused)
    assert await client.run(redis.get("text")) == b"READONLY, says the text itself"


@asynccontextmanager
async def behind_a_name(folder: Path) -> AsyncIterator[tuple[Path, str]]:
    """A name that leads to one server, and the URL of another that it may lead to later."""
    configs = [RedisServerConfig(folder / name, "everysec", 30) for name in ("one", "two")]
    async with embedded_redis(configs[0]) as one, embedded_redis(configs[1]) as two:
        name = folder / "name"
        name.symlink_to(one.removeprefix("unix://"))
        yield name, two


async def test_a_server_that_was_demoted_is_left_for_the_one_that_its_name_leads_to_now(tmp_path: Path) -> None:
    async with behind_a_name(tmp_path) as (name, two):
        client = RedisClient(f"unix://{name}", 5.0, 4, Metrics())
        await client.run(client.commands.set("text", "of one"))
        reading = asyncio.create_task(client.wait(client.blocking.xread({"stream": "$"}, block=1000)))
        await client.run(client.commands.replicaof("127.0.0.1", 1))  # where nobody listens
        name.unlink()
        name.symlink_to(two.removeprefix("unix://"))
        with pytest.raises(RedisUnavailableError):
            await client.run(client.commands.set("text", "of two"))
        assert not await reading  # what was under way is not broken off
        await client.run(client.commands.set("text", "of two"))
        assert await client.run(client.commands.get("text")) == b"of two"
        await client.run(client.commands.xadd("stream", {"written": "on two"}))
        assert await client.wait(client.blocking.xread({"stream": "0"}, block=1000))
        await client.close()


async def test_who_only_reads_leaves_a_server_that_was_demoted_too(tmp_path: Path) -> None:
    async with behind_a_name(tmp_path) as (name, two):
        client, successor = RedisClient(f"unix://{name}", 5.0, 4, Metrics()), RedisClient(two, 5.0, 4, Metrics())
        await successor.run(successor.commands.xadd("stream", {"written": "on two"}))
        reader = DomainDirectory(client)
        assert await reader.refusal() is None
        assert not await client.wait(client.blocking.xread({"stream": "0"}, block=1))
        await client.run(client.commands.replicaof("127.0.0.1", 1))  # where nobody listens
        assert await reader.refusal() == "Redis takes no writes now: it is a replica"
        name.unlink()
        name.symlink_to(two.removeprefix("unix://"))
        assert await reader.refusal() is None
        assert await client.run(client.commands.xlen("stream")) == 1
        assert await client.wait(client.blocking.xread({"stream": "0"}, block=1))
        await client.close()
        await successor.close()


async def test_so_it_does_though_the_connection_that_asks_leads_to_the_successor_already(tmp_path: Path) -> None:
    async with behind_a_name(tmp_path) as (name, two):
        client, successor = RedisClient(f"unix://{name}", 5.0, 4, Metrics()), RedisClient(two, 5.0, 4, Metrics())
        await client.run(client.commands.set("text", "of one"))
        await successor.run(successor.commands.set("text", "of two"))
        await successor.run(successor.commands.xadd("stream", {"written": "on two"}))
        reader = DomainDirectory(client)

        async def read() -> set[bytes]:
            return set(await asyncio.gather(*(client.run(client.commands.get("text")) for _ in range(4))))

        assert await read() == {b"of one"}
        assert not await client.wait(client.blocking.xread({"stream": "0"}, block=1))
        assert await reader.refusal() is None
        await client.run(client.commands.replicaof("127.0.0.1", 1))  # where nobody listens
        name.unlink()
        name.symlink_to(two.removeprefix("unix://"))
        pool = client.commands.connection_pool
        newer = await pool.get_connection()
        await newer.disconnect()
        await pool.release(newer)  # the first to be used again
        assert await client.run(client.commands.get("text")) == b"of two"
        assert await reader.refusal() is None
        assert await read() == {b"of two"}
        assert await client.wait(client.blocking.xread({"stream": "0"}, block=1))
        await client.close()
        await successor.close()


async def test_a_replica_whose_name_leads_nowhere_is_no_outage(tmp_path: Path) -> None:
    metrics = Metrics()
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        name = tmp_path / "name"
        name.symlink_to(url.removeprefix("unix://"))
        client = RedisClient(f"unix://{name}", 5.0, 4, metrics)
        await client.run(client.commands.replicaof("127.0.0.1", 1))
        name.unlink()
        assert await DomainDirectory(client).refusal() == "Redis takes no writes now: it is a replica"
        assert metrics.registry.get_sample_value("vqrec_redis_up") == 1
        await client.close()


async def test_a_replica_that_takes_writes_is_not_said_to_take_none(client: RedisClient) -> None:
    await client.run(client.commands.replicaof("127.0.0.1", 1))
    assert await client.is_replica()
    await client.run(client.commands.config_set("replica-read-only", "no"))
    assert not await client.is_replica()
    await client.run(client.commands.set("text", "value"))


async def test_who_may_not_ask_what_redis_is_takes_it_as_it_is(url: str, client: RedisClient) -> None:
    await client.run(client.commands.replicaof("127.0.0.1", 1))
    await client.run(client.commands.acl_setuser("default", enabled=True, nopass=True, commands=["-info"]))
    assert not await client.is_replica()


async def test_a_mistake_in_a_pipeline_is_none_for_what_its_command_says(client: RedisClient) -> None:
    pipeline = client.commands.pipeline(transaction=False)
    pipeline.set("text", "value")
    pipeline.hset("text", "of pipeline caused error: ('MISCONF", "value")
    with pytest.raises(ResponseError):
        await client.run(pipeline.execute())


async def test_nobody_there(tmp_path: Path) -> None:
    client = RedisClient(f"unix://{tmp_path}/nobody.sock", 1.0, 2, Metrics())
    with pytest.raises(RedisUnavailableError):
        await client.run(client.commands.ping())
    await client.close()


async def test_a_url_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        RedisClient("http://somewhere", 1.0, 2, Metrics())


async def test_a_password_that_makes_a_url_none_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="%2F") as raised:
        RedisClient("redis://:s3cret/more@somewhere", 1.0, 2, Metrics())
    assert "s3cret" not in raised.value.detail
