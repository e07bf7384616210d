"""What is said of a Redis is what it does: servers are started in each way, and asked."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from structlog.testing import capture_logs

from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_durability import RedisAccount, Severity, ask, say_once
from service.redis_server import find_redis_server
from tests.service.backup.shops import Shop

SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
LOSS, NOTE = Severity.LOSS, Severity.NOTE


class Server:
    """A redis-server with options of its own, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, list[subprocess.Popen[bytes]]()

    def start(self, *options: str) -> str:
        """Its URL, when it answers."""
        socket = self._folder / "redis.sock"
        where = ("--port", "0", "--unixsocket", str(socket), "--dir", str(self._folder))
        command = [str(find_redis_server()), *where, *options]
        self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        until_answering(socket)
        return f"unix://{socket}"

    def kill(self) -> None:
        """With SIGKILL: it gets to do nothing more."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path)
    yield started
    started.kill()


def until_answering(socket: Path) -> None:
    for _ in range(1000):
        try:
            with Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as redis:
                redis.ping()
        except (RedisError, OSError):
            time.sleep(0.01)  # until it has made its socket
        else:
            return
    raise AssertionError("the server does not answer")


async def account_of(url: str) -> RedisAccount:
    client = RedisClient(url, 5.0, 2, Metrics())
    try:
        return await ask(client)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SAFE, []),
        ((*SAFE, "--appendfsync", "everysec"), [(NOTE, "everysec")]),
        ((*SAFE, "--appendfsync", "no"), [(LOSS, "appendfsync no")]),
        (("--appendonly", "no", "--save", ""), [(LOSS, "nothing is on its disk")]),
        (("--appendonly", "no", "--save", "900", "1"), [(LOSS, "last snapshot")]),
        ((*SAFE, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), [(LOSS, "evicts catalogues")]),
        ((*SAFE, "--maxmemory-policy", "allkeys-lru"), [(NOTE, "evicts catalogues once a maxmemory is set")]),
        ((*SAFE, "--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"), []),
        ((*SAFE, "--maxmemory", "900kb"), [(NOTE, "maxmemory is used")]),
        ((*SAFE, "--replicaof", "127.0.0.1", "1"), [(LOSS, "is a replica")]),
        (
            (*SAFE, "--appendonly", "no", "--rename-command", "CONFIG", "", "--maxmemory-policy", "allkeys-lru"),
            [(LOSS, "no append-only file"), (NOTE, "evicts")],
        ),
        ((*SAFE, "--rename-command", "CONFIG", ""), [(NOTE, "does not tell its appendfsync")]),
        (
            (*SAFE, "--rename-command", "CONFIG", "", "--rename-command", "INFO", ""),
            [(NOTE, "does not tell its appendfsync"), (NOTE, "does not tell its maxmemory-policy")],
        ),
    ],
)
@pytest.mark.anyio
async def test_what_may_be_lost_is_said(
    server: Server, options: Sequence[str], expected: list[tuple[Severity, str]]
) -> None:
    weaknesses = (await account_of(server.start(*options))).weaknesses()
    assert [weakness.severity for weakness in weaknesses] == [severity for severity, _ in expected]
    for weakness, (_, text) in zip(weaknesses, expected, strict=True):
        assert text in weakness.text


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (SAFE, 1),
        ((*SAFE, "--appendfsync", "everysec"), 1),
        ((*SAFE, "--appendfsync", "no"), 1),
        (("--appendonly", "no", "--save", "900", "1"), 0),
        (("--appendonly", "no", "--save", ""), 0),
    ],
)
def test_what_a_killed_server_has_kept(server: Server, options: Sequence[str], kept: int) -> None:
    with Redis.from_url(server.start(*options), protocol=3, legacy_responses=False) as redis:
        shop = Shop(redis)
        shop.put("a")
    server.kill()
    with Redis.from_url(server.start(*options)) as redis:
        assert redis.hlen(shop.keys.items) == kept


@pytest.mark.anyio
async def test_a_primary_names_what_a_failover_loses() -> None:
    account = RedisAccount(
        {"aof_enabled": 1, "maxmemory_policy": "noeviction", "connected_slaves": 1, "redis_version": "7.2.1"},
        {"appendfsync": "always"},
    )
    (weakness,) = account.weaknesses()
    assert (weakness.severity, "failover" in weakness.text) == (NOTE, True)


@pytest.mark.anyio
async def test_an_old_server_is_named() -> None:
    account = RedisAccount(
        {"aof_enabled": 1, "maxmemory_policy": "noeviction", "redis_version": "5.0.14"}, {"appendfsync": "always"}
    )
    assert [weakness.severity for weakness in account.weaknesses()] == [LOSS]


@pytest.mark.anyio
async def test_the_log_says_it_once_when_redis_answers(server: Server, tmp_path: Path) -> None:
    client = RedisClient(f"unix://{tmp_path}/redis.sock", 5.0, 2, Metrics())
    with capture_logs() as lines:
        saying = asyncio.create_task(say_once(client))
        await asyncio.sleep(0)  # it has asked, and got no answer
        await asyncio.to_thread(server.start, "--appendonly", "no", "--save", "")
        await asyncio.wait_for(saying, 30)
    await client.close()
    found = [line for line in lines if line["event"] == "redis-durability"]
    assert [(line["log_level"], line["severity"]) for line in found] == [("warning", "loss")]
    assert [line["durability"] for line in lines if line["event"] == "redis-found"] == [
        "append-only file off, noeviction"
    ]
