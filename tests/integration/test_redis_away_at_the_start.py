"""A service that starts while Redis is away: it says so, guesses nothing, and goes on once Redis is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import make_settings, running_service, until
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio


def of_redis(lines: Sequence[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines if line["event"].startswith("redis-")]


async def test_it_says_so_and_knows_of_no_domains_until_redis_is_there(tiny: TinyStore, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    settings = make_settings(tiny.root, tmp_path / "data", redis_url=f"unix://{folder}/redis.sock")
    with capture_logs() as lines:
        async with running_service(settings) as service:

            async def is_told() -> bool:
                return ("warning", "redis-unavailable") in of_redis(lines)

            await until(is_told)
            readiness = await service.http.get("/readyz")
            assert (readiness.status_code, readiness.json()["status"]) == (503, "loading")
            assert readiness.json()["reasons"] == [line["reason"] for line in lines if "reason" in line]
            answer = await service.http.get("/v1/domains")
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:vqrec:problem:domain-loading")
            assert answer.headers["retry-after"] == "1"

            async with embedded_redis(RedisServerConfig(folder, "everysec", 30)):
                await service.until_ready()
                assert (await service.http.get("/v1/domains")).json() == {"domains": []}

                async def is_found() -> bool:
                    return ("info", "redis-found") in of_redis(lines)

                await until(is_found)

            async def is_told_again() -> bool:
                return of_redis(lines).count(("warning", "redis-unavailable")) > 1

            await until(is_told_again)
            assert (await service.http.get("/v1/domains")).status_code == 200
    told = [event for _, event in of_redis(lines) if event in ("redis-unavailable", "redis-available")]
    assert told == ["redis-unavailable", "redis-available", "redis-unavailable"]
