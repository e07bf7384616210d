"""A Redis of its own that several services share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.redis_server import RedisServerConfig, embedded_redis


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        yield url
