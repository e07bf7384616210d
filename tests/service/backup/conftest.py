"""Two Redis servers, one to back up and one to restore into, emptied before every test."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis import Redis

from service.redis_server import RedisServerConfig, embedded_redis
from tests.service.backup.shops import connect


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        configs = [RedisServerConfig(folder / name, "everysec", 30) for name in ("a", "b")]
        first, second = (runner.run(stack.enter_async_context(embedded_redis(config))) for config in configs)
        yield first, second
        runner.run(stack.aclose())


@pytest.fixture
def source(urls: tuple[str, str]) -> Iterator["Redis"]:
    with connect(urls[0]) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def target(urls: tuple[str, str]) -> Iterator["Redis"]:
    with connect(urls[1]) as redis:
        redis.flushall()
        yield redis
