"""After a restore a service answers as before: item for item, score for score."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.backup.commands import backup, restore
from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

ITEMS = {f"item {number}": f"{number} boards of oak and {number % 7} of ash" for number in range(200)}


async def call(command: Any, *arguments: object, url: str) -> None:
    words = [str(argument) for argument in arguments]
    result = await asyncio.to_thread(CliRunner().invoke, command, words, env={"REDIS_URL": url})
    assert result.exit_code == 0, result.exception


async def answers(service: RunningService) -> list[Any]:
    """All that is told of some recommendations, items and the domain, that does not differ from call to call."""
    asked = [await service.recommend([f"item {number}"], return_attributes=True, limit=20) for number in range(5)]
    items = [(await service.http.get(f"/v1/domains/shop/items/item {number}")).json() for number in (0, 1, 3, 4)]
    domain = (await service.http.get("/v1/domains/shop")).json()
    told = [{name: value for name, value in one.items() if name not in ("request_id", "took_ms")} for one in asked]
    return [told, items, domain["items"], domain["adapter_sha256"]]


async def served(service: RunningService) -> None:
    async def there() -> bool:
        return (await service.http.get("/v1/domains/shop")).json().get("adapter_version") is not None

    await until(there)


async def test_a_new_machine_with_a_restored_backup(tmp_path: Path, redis_url: str) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    other = write_tiny_adapter(store, seed=1)
    async with running_service(make_settings(store.root, tmp_path / "one", redis_url=redis_url)) as service:
        await service.until_ready()
        await service.serve(store.adapter)
        await service.put_items(ITEMS)
        await service.http.patch(
            "/v1/domains/shop/items/item 1", json={"attributes": {"teeth": 42}, "available": False}
        )
        await service.serve(other)
        await service.http.delete("/v1/domains/shop/items/item 2")
        before = await answers(service)
        options = ("--with-artifacts", "--artifacts", store.root)
        await call(backup, "--out", tmp_path / "backup", *options, url=redis_url)

    async with embedded_redis(RedisServerConfig(tmp_path / "new redis", "everysec", 30)) as url:
        root = tmp_path / "new artifacts"
        await call(restore, "--from", tmp_path / "backup", "--with-artifacts", "--artifacts", root, url=url)
        async with running_service(make_settings(root, tmp_path / "two", redis_url=url)) as service:
            await service.until_ready()
            assert await answers(service) == before
            again = await service.http.put("/v1/domains/shop/items/item 3", json={"text": ITEMS["item 3"]})
            assert (again.status_code, again.json()["status"]) == (200, "unchanged")
            await service.put_items({"item 2": "anew"})
            assert (await service.http.get("/v1/domains/shop/items/item 2")).json()["text"] == "anew"
            back = await service.http.post("/v1/admin/domains/shop/adapter:rollback")
            assert (await service.until_finished(back.headers["location"]))["state"] == "succeeded"
            assert (await service.http.get("/v1/domains/shop")).json()["adapter_version"] == store.adapter.version


async def test_replicas_that_ran_on_without_redis_go_on_with_the_restored_one(tmp_path: Path, redis_url: str) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    async with running_service(make_settings(store.root, tmp_path / "one", redis_url=redis_url)) as service:
        await service.until_ready()
        await service.serve(store.adapter)
        await service.put_items(ITEMS)
        before = await answers(service)
        await call(backup, "--out", tmp_path / "backup", url=redis_url)
        await service.put_items({"item 1": "changed", "later": "later"})
        await service.state.redis.run(service.state.redis.commands.flushall())
        await until_reason(service, lambda reasons: "emptied or replaced" in reasons)
        await call(restore, "--from", tmp_path / "backup", "--artifacts", store.root, url=redis_url)

        async def as_before() -> bool:
            return await answers(service) == before

        await until_reason(service, lambda reasons: not reasons)
        await until(as_before)
        await service.put_items({"later": "sent again"})
        assert (await service.http.get("/v1/domains/shop")).json()["items"] == len(ITEMS) + 1


async def test_a_running_service_serves_a_domain_that_is_restored_beside_its_own(
    tmp_path: Path, redis_url: str
) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    async with running_service(make_settings(store.root, tmp_path / "one", redis_url=redis_url)) as service:
        await service.until_ready()
        await service.serve(store.adapter)
        await service.serve(store.adapter, "garden")
        await service.put_items(ITEMS)
        before = await answers(service)
        await call(backup, "--out", tmp_path / "backup", "--domain", "shop", url=redis_url)
        assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
        await call(restore, "--from", tmp_path / "backup", "--domain", "shop", url=redis_url)
        await served(service)
        assert await answers(service) == before
        await service.put_items({"later": "later"})


async def until_reason(service: RunningService, holds: Callable[[str], bool]) -> None:
    async def told() -> bool:
        return holds(" ".join((await service.http.get("/readyz")).json()["reasons"]))

    await until(told)
