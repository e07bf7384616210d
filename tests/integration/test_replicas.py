"""Two processes on one Redis agree, and one that is started later agrees with both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.catalog.replica import DomainReplica
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

TEXTS = {"hammer": "claw hammer", "saw": "hand saw", "plane": "jack plane", "chisel": "bevel chisel"}


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts")


@pytest.fixture
async def pair(
    store: TinyStore, tmp_path: Path, redis_url: str
) -> AsyncIterator[tuple[RunningService, RunningService]]:
    one, two = (make_settings(store.root, tmp_path / name, redis_url=redis_url) for name in ("one", "two"))
    async with running_service(one) as first, running_service(two) as second:
        yield first, second


async def serves(service: RunningService, version: str) -> bool:
    answer = await service.http.get("/v1/domains/shop")
    return bool(answer.status_code == 200 and answer.json().get("adapter_version") == version)


async def test_an_item_put_to_one_is_recommended_by_the_other(
    pair: tuple[RunningService, RunningService], store: TinyStore
) -> None:
    first, second = pair
    await first.serve(store.adapter)
    await until(lambda: serves(second, store.adapter.version))
    await first.put_items(TEXTS)

    async def agrees() -> bool:
        return await second.recommended(["hammer"]) == await first.recommended(["hammer"])

    await until(agrees)
    assert {item_id for item_id, _ in await second.recommended(["hammer"])} == {"saw", "plane", "chisel"}


async def test_what_one_deletes_the_other_no_longer_recommends(
    pair: tuple[RunningService, RunningService], store: TinyStore
) -> None:
    first, second = pair
    await first.serve(store.adapter)
    await first.put_items(TEXTS)
    await until(lambda: serves(second, store.adapter.version))
    assert (await first.http.delete("/v1/domains/shop/items/saw")).status_code == 204

    async def gone() -> bool:
        return "saw" not in dict(await second.recommended(["hammer"]))

    await until(gone)


async def test_an_adapter_put_to_one_is_served_by_both(
    pair: tuple[RunningService, RunningService], store: TinyStore
) -> None:
    first, second = pair
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    await first.serve(store.adapter)
    await first.put_items(TEXTS)
    await second.serve(other)
    await until(lambda: serves(first, other.version))
    assert await first.recommended(["hammer"]) == await second.recommended(["hammer"])


async def test_a_deleted_domain_is_gone_from_both_and_from_redis(
    pair: tuple[RunningService, RunningService], store: TinyStore
) -> None:
    first, second = pair
    await first.serve(store.adapter)
    await first.put_items(TEXTS)
    await until(lambda: serves(second, store.adapter.version))
    assert (await second.http.delete("/v1/admin/domains/shop")).status_code == 204
    assert (await second.http.get("/v1/domains/shop")).status_code == 404

    async def gone() -> bool:
        return (await first.http.get("/v1/domains/shop")).status_code == 404

    await until(gone)
    redis = first.state.redis
    assert await redis.run(redis.commands.keys("vqrec:{shop}:*")) == []

    await first.serve(store.adapter)
    assert (await first.http.get("/v1/domains/shop")).json()["items"] == 0


async def test_a_replica_started_later_serves_the_same(
    pair: tuple[RunningService, RunningService], store: TinyStore, tmp_path: Path, redis_url: str
) -> None:
    first, _ = pair
    await first.serve(store.adapter)
    await first.put_items(TEXTS)
    await first.http.patch("/v1/domains/shop/items/saw", json={"available": False})
    await first.http.delete("/v1/domains/shop/items/plane")
    async with running_service(make_settings(store.root, tmp_path / "three", redis_url=redis_url)) as later:
        await later.until_ready()
        assert await later.recommended(["hammer"]) == await first.recommended(["hammer"])
        assert [item_id for item_id, _ in await later.recommended(["hammer"])] == ["chisel"]


async def test_a_replica_that_fell_behind_the_trimmed_stream_loads_everything_anew(
    store: TinyStore, tmp_path: Path, redis_url: str
) -> None:
    one, two = (
        make_settings(store.root, tmp_path / name, redis_url=redis_url, stream_length=100) for name in ("one", "two")
    )
    async with running_service(one) as first, running_service(two) as second:
        await first.serve(store.adapter)
        await until(lambda: serves(second, store.adapter.version))
        left_behind = second.state.registry.replica("shop")
        await left_behind.stop()
        await first.put_items({f"item-{number}": f"text {number}" for number in range(900)})
        await first.http.delete("/v1/domains/shop/items/item-0")
        redis = first.state.redis
        assert await redis.run(redis.commands.xlen("vqrec:{shop}:changes")) < 400
        left_behind.start()

        async def caught_up() -> bool:
            return len(left_behind.snapshot) == 899

        await until(caught_up)


async def test_a_foreign_entry_in_the_stream_does_no_lasting_harm(
    pair: tuple[RunningService, RunningService], store: TinyStore
) -> None:
    first, _ = pair
    await first.serve(store.adapter)
    redis = first.state.redis
    await redis.run(redis.commands.xadd("vqrec:{shop}:changes", {"who": "knows"}))
    await redis.run(redis.commands.hset("vqrec:{shop}:items", "damaged", "no record"))
    await first.put_items(TEXTS)
    assert len(await first.recommended(["hammer"])) == len(TEXTS) - 1


async def test_a_domain_in_redis_that_cannot_be_read_is_told_and_takes_nothing_from_others(
    pair: tuple[RunningService, RunningService],
    store: TinyStore,
    tmp_path: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = pair
    await first.serve(store.adapter)
    await first.put_items(TEXTS)
    redis, damaged = first.state.redis, "vqrec:{damaged}:adapter"

    async def tells(what: str) -> bool:
        return f"{what}: what Redis holds" in (await first.http.get("/readyz")).text

    async def is_well() -> bool:
        return (await first.http.get("/readyz")).json()["status"] == "ready"

    await redis.run(redis.commands.hset(damaged, mapping={"revision": "many"}))
    await redis.run(redis.commands.hset("vqrec:domains", "damaged", store.backbone.sha256))
    await until(lambda: tells("domain damaged"))
    assert (await first.http.put("/v1/domains/shop/items/vice", json={"text": "bench vice"})).status_code == 201
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    await first.serve(other)
    async with running_service(make_settings(store.root, tmp_path / "later", redis_url=redis_url)) as later:
        await later.until_ready()
        assert await later.recommended(["hammer"]) == await first.recommended(["hammer"])
    await redis.run(redis.commands.hset("vqrec:{shop}:adapter", "revision", "many"))
    await until(lambda: tells("domain shop"))
    assert len(await first.recommended(["hammer"])) == len(TEXTS)
    registry = first.state.registry
    drop, dropped = registry.remove, list[str]()

    def noted(domain: str) -> DomainReplica | None:
        dropped.append(domain)
        return drop(domain)

    monkeypatch.setattr(registry, "remove", noted)
    async with running_service(make_settings(store.root, tmp_path / "unaware", redis_url=redis_url)) as unaware:
        await unaware.serve(store.adapter)  # it never heard what the shop was served with
        await until(lambda: serves(first, store.adapter.version))
        assert len(await unaware.recommended(["hammer"])) == len(TEXTS)
        assert not dropped, "it was swapped"
        rolled_back = await unaware.http.post("/v1/admin/domains/shop/adapter:rollback")
        await unaware.until_finished(rolled_back.headers["location"])
        await until(lambda: serves(first, other.version))
    assert not dropped
    await redis.run(redis.commands.hdel("vqrec:domains", "damaged"))
    await until(is_well)
