"""A Redis of one's own for every test of the catalogue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisClient]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        client = RedisClient(url, 5.0, 8, Metrics())
        yield client
        await client.close()
