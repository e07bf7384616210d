"""A Redis that lost its data, or another one at the same address, takes nothing away from what is served."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.redis_client import RedisClient
from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

TEXTS = {"hammer": "claw hammer", "saw": "hand saw", "plane": "jack plane"}
STORE = b"vqrec:store"


class Shop(NamedTuple):
    """A service with the domain ``shop``, and what makes another one beside it."""

    service: RunningService
    redis: RedisClient
    redis_url: str
    folder: Path


@pytest.fixture
async def shop(tiny: TinyStore, tmp_path: Path, redis_url: str) -> Any:
    async with running_service(make_settings(tiny.root, tmp_path / "one", redis_url=redis_url)) as service:
        await service.until_ready()
        await service.serve(tiny.adapter)
        await service.put_items(TEXTS)
        yield Shop(service, service.state.redis, redis_url, tmp_path)


async def keys(redis: RedisClient) -> set[bytes]:
    return set(await redis.run(redis.commands.keys("*")))


async def backup(redis: RedisClient) -> dict[bytes, bytes]:
    return {key: await redis.run(redis.commands.dump(key)) for key in await keys(redis)}


async def restore(redis: RedisClient, dumped: dict[bytes, bytes]) -> None:
    for key in sorted(dumped, key=lambda key: key == STORE):  # last the mark, which says that all is there
        await redis.run(redis.commands.restore(key, 0, dumped[key], replace=True))


async def answer(service: RunningService) -> dict[str, Any]:
    """All of a recommendation that does not differ from call to call."""
    document = await service.recommend(["hammer"], return_attributes=True)
    return {name: value for name, value in document.items() if name not in ("request_id", "took_ms")}


async def readiness(service: RunningService) -> tuple[int, str, str]:
    ready = await service.http.get("/readyz")
    return ready.status_code, ready.json()["status"], " ".join(ready.json()["reasons"])


async def until_foreign(service: RunningService) -> None:
    async def foreign() -> bool:
        return "emptied or replaced" in (await readiness(service))[2]

    await until(foreign)


async def until_well(service: RunningService) -> None:
    async def well() -> bool:
        return await readiness(service) == (200, "ready", "")

    await until(well)


async def test_what_is_served_outlives_an_emptied_redis(shop: Shop) -> None:
    service, redis, *_ = shop
    before = await answer(service)
    await redis.run(redis.commands.flushall())
    await until_foreign(service)
    assert (await readiness(service))[:2] == (200, "degraded")
    assert await answer(service) == before
    assert [domain["items"] for domain in (await service.http.get("/v1/domains")).json()["domains"]] == [len(TEXTS)]


@pytest.mark.parametrize("noticed", [False, True])
async def test_nothing_is_written_to_an_emptied_redis(shop: Shop, tiny: TinyStore, noticed: bool) -> None:
    service, redis, *_ = shop
    await redis.run(redis.commands.flushall())
    if noticed:
        await until_foreign(service)
    adapter = {"source": str(tiny.adapter.path.relative_to(tiny.root))}
    for method, path, body in (
        ("PUT", "/v1/domains/shop/items/new", {"text": "new"}),
        ("POST", "/v1/domains/shop/items:bulk", [{"item_id": "new", "text": "new"}]),
        ("PATCH", "/v1/domains/shop/items/saw", {"available": False}),
        ("DELETE", "/v1/domains/shop/items/saw", None),
        ("GET", "/v1/domains/shop/items/saw", None),
        ("PUT", "/v1/admin/domains/shop/adapter", adapter),
        ("PUT", "/v1/admin/domains/other/adapter", adapter),
        ("POST", "/v1/admin/domains/shop/adapter:rollback", None),
        ("DELETE", "/v1/admin/domains/shop", None),
    ):
        refused = await service.http.request(method, path, json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30"), f"{method} {path}"
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:vqrec:problem:redis-unavailable"
        assert "backup" in refused.json()["detail"]
        assert "restart" in refused.json()["detail"]
    assert await keys(redis) == set()


async def test_a_restored_redis_is_followed_again(shop: Shop) -> None:
    service, redis, *_ = shop
    before, dumped = await answer(service), await backup(redis)
    await redis.run(redis.commands.flushall())
    await until_foreign(service)
    await restore(redis, dumped)
    await until_well(service)
    assert await answer(service) == before
    await service.put_items({"new": "new"})
    assert "new" in dict(await service.recommended(["hammer"]))


async def test_an_older_backup_takes_away_what_it_does_not_hold(shop: Shop) -> None:
    service, redis, *_ = shop
    before, dumped = await answer(service), await backup(redis)
    await service.put_items({"new": "new"})
    await redis.run(redis.commands.flushall())
    await until_foreign(service)
    assert "new" in dict(await service.recommended(["hammer"]))
    await restore(redis, dumped)

    async def caught_up() -> bool:
        return await answer(service) == before

    await until(caught_up)
    await until_well(service)


async def test_an_item_that_an_emptied_redis_lacks_was_not_deleted(shop: Shop) -> None:
    service, redis, *_ = shop
    before = await answer(service)
    change = {"op": "put", "id": "saw", "after": str(service.state.registry.replica("shop").position)}
    pipe = redis.commands.pipeline(transaction=True)  # as if the change had been read right before
    pipe.flushall()
    pipe.xadd("vqrec:{shop}:changes", change)
    await redis.run(pipe.execute())
    await until_foreign(service)
    assert await answer(service) == before


async def test_another_redis_adds_nothing_to_a_domain_that_has_no_items_yet(shop: Shop, tiny: TinyStore) -> None:
    service, redis, *_ = shop
    await service.serve(tiny.adapter, "bare")
    others = {key.replace(b"{shop}", b"{bare}"): value for key, value in (await backup(redis)).items() if b"{" in key}
    del others[b"vqrec:{bare}:changes"]
    pipe = redis.commands.pipeline(transaction=True)
    pipe.flushall()
    for key, value in others.items():
        pipe.restore(key, 0, value)
    pipe.xadd("vqrec:{bare}:changes", {"op": "put", "id": "saw", "after": "0-0"})
    await redis.run(pipe.execute())
    await until_foreign(service)
    assert (await service.http.get("/v1/domains/bare")).json()["items"] == 0


async def test_a_lost_volume(tiny: TinyStore, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first_life = await stack.enter_async_context(AsyncExitStack())
        config = RedisServerConfig(tmp_path / "redis", "always", 30)
        url = await first_life.enter_async_context(embedded_redis(config))
        settings = make_settings(tiny.root, tmp_path / "data", redis_url=url)
        service = await stack.enter_async_context(running_service(settings))
        await service.serve(tiny.adapter)
        await service.put_items(TEXTS)
        before = await answer(service)
        await first_life.aclose()
        (tmp_path / "redis" / "appendonly.aof").unlink()
        assert await stack.enter_async_context(embedded_redis(config)) == url
        await until_foreign(service)

        async def asked() -> bool:  # the follower has come back, too, and found its stream gone
            return service.state.registry.replica("shop").fault is not None

        await until(asked)
        assert await answer(service) == before
        assert await keys(service.state.redis) == set()


async def test_a_second_history_is_kept_apart_until_a_restart(shop: Shop, tiny: TinyStore) -> None:
    service, redis, redis_url, folder = shop
    before = await answer(service)
    await redis.run(redis.commands.flushall())
    await until_foreign(service)
    settings = make_settings(tiny.root, folder / "two", redis_url=redis_url)
    async with running_service(settings) as second:
        await second.until_ready()
        assert await readiness(second) == (200, "ready", "")
        assert (await second.http.get("/v1/domains")).json()["domains"] == []
        assert await keys(redis) == set()

        await second.serve(tiny.adapter)
        await second.put_items({"drill": "drill", "bit": "bit"})
        written = await backup(redis)
        assert (await service.http.put("/v1/domains/shop/items/new", json={"text": "new"})).status_code == 503
        assert await answer(service) == before
        assert await backup(redis) == written
    async with running_service(make_settings(tiny.root, folder / "one again", redis_url=redis_url)) as restarted:
        await restarted.until_ready()
        assert dict(await restarted.recommended(["drill"])).keys() == {"bit"}
        await until_well(restarted)


async def test_deleting_the_last_domain_is_no_fault(shop: Shop, tiny: TinyStore) -> None:
    service, redis, *_ = shop
    marked = await redis.run(redis.commands.get(STORE))
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    await service.serve(tiny.adapter, "other")
    assert await readiness(service) == (200, "ready", "")
    assert await redis.run(redis.commands.get(STORE)) == marked


async def test_a_service_that_serves_nothing_takes_redis_as_it_is(shop: Shop, tiny: TinyStore) -> None:
    service, redis, *_ = shop
    marked = await redis.run(redis.commands.get(STORE))
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    await redis.run(redis.commands.flushall())
    adapter = {"source": str(tiny.adapter.path.relative_to(tiny.root))}

    async def accepted() -> bool:
        return (await service.http.put("/v1/admin/domains/shop/adapter", json=adapter)).status_code == 202

    await until(accepted)
    assert await redis.run(redis.commands.get(STORE)) not in (None, marked)
    await until_well(service)


async def test_a_redis_of_an_earlier_version_is_marked(shop: Shop, tiny: TinyStore) -> None:
    service, redis, redis_url, folder = shop
    before = await answer(service)
    await redis.run(redis.commands.delete(STORE))  # as an earlier version leaves it, for a process that starts
    async with running_service(make_settings(tiny.root, folder / "two", redis_url=redis_url)) as later:
        await later.until_ready()
        assert await answer(later) == before
        await until_well(later)
        assert await redis.run(redis.commands.get(STORE)) is not None
