"""Adapters over REST: put, watched, rolled back, and domains deleted."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import structlog.testing

from service.errors import ConfigurationError
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_backbone, write_tiny_store

pytestmark = pytest.mark.anyio

ADAPTER = "/v1/admin/domains/shop/adapter"


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts")


@pytest.fixture
async def service(store: TinyStore, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = make_settings(
        store.root, tmp_path / "data", adapter_url_prefixes=f"file://{tmp_path}/published memory://allowed"
    )
    async with running_service(settings) as running:
        yield running


async def version(service: RunningService) -> str:
    served: str = (await service.http.get("/v1/domains/shop")).json()["adapter_version"]
    return served


async def test_a_new_name_makes_a_domain(service: RunningService, store: TinyStore) -> None:
    body = {
        "source": f"adapters/shop/{store.adapter.version}",
        "sha256": store.adapter.sha256,
        "expected_version": None,
    }
    with structlog.testing.capture_logs() as logs:
        answer = await service.http.put("/v1/admin/domains/other-name/adapter", json=body)
    assert answer.status_code == 202
    (said,) = [line for line in logs if line["event"] == "adapter-of-another-domain"]
    assert (said["domain"], said["made_for"]) == ("other-name", "shop")
    assert answer.headers["location"] == f"/v1/admin/operations/{answer.json()['id']}"
    done = await service.until_finished(answer.headers["location"])
    assert (done["state"], done["progress"]) == ("succeeded", 1.0)
    assert (await service.http.get("/v1/domains")).json()["domains"][0]["domain"] == "other-name"


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    first = {"source": f"adapters/shop/{store.adapter.version}", "dry_run": True}
    answer = await service.http.put(ADAPTER, json=first)
    assert (answer.status_code, answer.json()["action"]) == (200, "create")

    async def is_empty() -> bool:  # once it is known which domains there are
        return (await service.http.get("/v1/domains")).json().get("domains") == []

    await until(is_empty)
    await service.serve(store.adapter)
    await service.put_items({"a": "one"})
    plan = (await service.http.put(ADAPTER, json={**first, "source": f"adapters/shop/{other.version}"})).json()
    assert (plan["action"], plan["replaces"], plan["items"], plan["codes_kept"]) == (
        "replace",
        store.adapter.version,
        1,
        False,
    )
    assert (await service.http.put(ADAPTER, json=first)).json()["action"] == "nothing"
    assert await version(service) == store.adapter.version


async def test_the_same_version_again_has_succeeded_at_once(service: RunningService, store: TinyStore) -> None:
    await service.serve(store.adapter)
    answer = await service.http.put(ADAPTER, json={"source": f"adapters/shop/{store.adapter.version}"})
    assert (answer.status_code, answer.json()["state"]) == (202, "succeeded")
    assert (await service.http.get(answer.headers["location"])).json()["state"] == "succeeded"
    assert (await service.http.post(f"{ADAPTER}:rollback")).status_code == 409


async def test_a_rollback_goes_back_and_forth(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1)
    await service.serve(store.adapter)
    await service.serve(other)
    for expected in (store.adapter.version, other.version):
        answer = await service.http.post(f"{ADAPTER}:rollback")
        assert answer.status_code == 202
        await service.until_finished(answer.headers["location"])
        assert await version(service) == expected


async def test_of_two_admins_at_once_one_is_told(service: RunningService, store: TinyStore) -> None:
    await service.serve(store.adapter)
    others = [write_tiny_adapter(store, seed=seed) for seed in (1, 2, 3)]
    calls = [
        service.http.put(
            ADAPTER,
            json={"source": f"adapters/shop/{other.version}", "expected_version": store.adapter.version},
        )
        for other in others
    ]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]


@pytest.mark.parametrize(
    ("field", "value"), [("revision", "many"), ("source", b"\xff"), ("sha256", None)], ids=["revision", "text", "gap"]
)
async def test_a_choice_that_cannot_be_read_is_put_anew_and_its_items_stay(
    service: RunningService, store: TinyStore, field: str, value: str | bytes | None
) -> None:
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    body: dict[str, object] = {"source": f"adapters/shop/{other.version}"}
    await service.serve(store.adapter)
    await service.put_items({"a": "one", "b": "two"})
    redis, key = service.state.redis, "vqrec:{shop}:adapter"
    await redis.run(redis.commands.hset(key, field, value) if value else redis.commands.hdel(key, field))
    for refused in (
        await service.http.put(ADAPTER, json={**body, "expected_version": store.adapter.version}),
        await service.http.post(f"{ADAPTER}:rollback"),
    ):
        assert refused.status_code == 409
        assert "without `expected_version`; its items are kept" in refused.json()["detail"]
    plan = (await service.http.put(ADAPTER, json={**body, "dry_run": True})).json()
    assert (plan["action"], plan["items"]) == ("replace", 2)
    replica = service.state.registry.replica("shop")
    await service.serve(other)
    assert service.state.registry.replica("shop").wanted.incarnation == replica.wanted.incarnation, "it was swapped"
    assert [item_id for item_id, _ in await service.recommended(["a"])] == ["b"]
    expected = {**body, "source": f"adapters/shop/{store.adapter.version}", "expected_version": other.version}
    answer = await service.http.put(ADAPTER, json=expected)
    await service.until_finished(answer.headers["location"])
    assert await version(service) == store.adapter.version
    answer = await service.http.post(f"{ADAPTER}:rollback")
    await service.until_finished(answer.headers["location"])
    assert await version(service) == other.version


async def test_so_is_one_that_is_of_another_type(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1, domain="garden", quantizer_seed=1)
    await service.serve(store.adapter)
    await service.serve(other, "garden")
    await service.put_items({"a": "one", "b": "two"})
    redis, replica = service.state.redis, service.state.registry.replica("shop")
    await redis.run(redis.commands.set("vqrec:{shop}:adapter", "no hash"))

    async def is_told() -> bool:
        return "domain shop: what Redis holds" in (await service.http.get("/readyz")).text

    await until(is_told)
    await service.serve(write_tiny_adapter(store, seed=2, domain="garden"), "garden")
    assert (await service.http.post(f"{ADAPTER}:rollback")).status_code == 409
    await service.serve(write_tiny_adapter(store, seed=2))
    assert service.state.registry.replica("shop").wanted.incarnation == replica.wanted.incarnation, "it was swapped"
    assert [item_id for item_id, _ in await service.recommended(["a"])] == ["b"]


async def test_the_same_adapter_again_mends_a_choice_that_cannot_be_read(
    service: RunningService, store: TinyStore
) -> None:
    await service.serve(store.adapter)
    redis = service.state.redis
    await redis.run(redis.commands.hset("vqrec:{shop}:adapter", "revision", "many"))
    await service.serve(store.adapter)
    assert await redis.run(redis.commands.hget("vqrec:{shop}:adapter", "revision")) == b"2"
    assert await redis.run(redis.commands.hexists("vqrec:{shop}:adapter", "previous_sha256")) == 0


async def test_an_adapter_that_breaks_after_the_check_leaves_the_old_one_serving(
    service: RunningService, store: TinyStore
) -> None:
    other = write_tiny_adapter(store, seed=1)
    await service.serve(store.adapter)
    await service.put_items({"a": "one", "b": "two"})
    answer = await service.recommended(["a"])
    directory = service.state.redis
    # As when a replica lacks the files that another has: the choice is made elsewhere.
    await directory.run(
        directory.commands.hset(
            "vqrec:{shop}:adapter",
            mapping={"source": "adapters/shop/gone", "sha256": other.sha256, "revision": 2, "operation": "elsewhere"},
        )
    )

    async def reported() -> bool:
        return "last_error" in (await service.http.get("/v1/domains/shop")).json()

    await until(reported)
    details = (await service.http.get("/v1/domains/shop")).json()
    assert (details["adapter_version"], details["wanted_version"]) == (store.adapter.version, other.version)
    ready = await service.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert other.version in ready.json()["reasons"][0]
    assert await service.recommended(["a"]) == answer


async def test_a_backbone_is_bound_while_there_are_domains(service: RunningService, store: TinyStore) -> None:
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(9))
    foreign = write_tiny_adapter(store, seed=1, domain="other", backbone=backbone)
    await service.serve(store.adapter)
    refused = await service.http.put(
        "/v1/admin/domains/other/adapter", json={"source": f"adapters/other/{foreign.version}"}
    )
    assert refused.status_code == 409
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    await service.serve(foreign, "other")
    assert (await service.http.get("/v1/domains/other")).json()["backbone"] == backbone.sha256


async def test_codes_follow_the_quantiser_and_back(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    await service.serve(store.adapter)
    await service.put_items({"a": "one", "b": "two", "c": "three"})
    before = await service.recommended(["a"])
    await service.serve(other)
    await service.put_items({"b": "another text", "d": "four"})
    await service.put_items({"b": "two"})
    await service.http.delete("/v1/domains/shop/items/d")
    await service.serve(store.adapter)
    assert await service.recommended(["a"]) == before


async def test_an_adapter_from_an_allowed_url(service: RunningService, store: TinyStore, tmp_path: Path) -> None:
    other = write_tiny_adapter(store, seed=1)
    (tmp_path / "published").mkdir()
    published = other.path.rename(tmp_path / "published" / "adapter")
    answer = await service.http.put(ADAPTER, json={"source": f"file://{published}", "sha256": other.sha256})
    assert answer.status_code == 202, answer.text
    assert (await service.until_finished(answer.headers["location"]))["state"] == "succeeded"
    assert await version(service) == other.version
    assert (tmp_path / "data" / "adapters" / other.version).is_dir()


async def test_deleting_a_domain_while_it_is_written_to(service: RunningService, store: TinyStore) -> None:
    await service.serve(store.adapter)
    writes = [
        asyncio.create_task(service.http.put(f"/v1/domains/shop/items/{number}", json={"text": str(number)}))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    statuses = {answer.status_code for answer in await asyncio.gather(*writes)}
    assert statuses <= {201, 404}
    redis = service.state.redis
    assert await redis.run(redis.commands.keys("vqrec:{shop}:*")) == []


async def test_what_is_being_built_for_a_deleted_domain_is_given_up(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1, quantizer_seed=1)
    await service.serve(store.adapter)
    await service.put_items({"a": "one"})
    released = threading.Event()
    service.state.registry.replica("shop")._context.build.submit(released.wait)

    async def building() -> bool:
        return any(task.get_name() == "build shop" for task in asyncio.all_tasks())

    async def given_up() -> bool:
        return not await building()

    try:
        await service.http.put(ADAPTER, json={"source": f"adapters/shop/{other.version}"})
        await until(building)
        assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
        await until(given_up)
    finally:
        released.set()
    await service.serve(other)
    assert (await service.http.get("/v1/domains/shop")).json()["items"] == 0


async def test_two_domains_live_side_by_side(service: RunningService, store: TinyStore) -> None:
    other = write_tiny_adapter(store, seed=1, domain="garden", quantizer_seed=1)
    await service.serve(store.adapter)
    await service.serve(other, "garden")
    await service.put_items({"a": "one", "b": "two"})
    await service.put_items({"a": "one", "c": "three"}, "garden")
    assert [item_id for item_id, _ in await service.recommended(["a"])] == ["b"]
    assert [item_id for item_id, _ in await service.recommended(["a"], "garden")] == ["c"]
    names = [domain["domain"] for domain in (await service.http.get("/v1/domains")).json()["domains"]]
    assert names == ["garden", "shop"]


async def test_a_service_that_is_told_its_backbone_takes_no_other(store: TinyStore, tmp_path: Path) -> None:
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(9))
    foreign = write_tiny_adapter(store, seed=1, backbone=backbone)
    for name in (store.backbone.version, f"backbones/{store.backbone.version}"):
        async with running_service(make_settings(store.root, tmp_path / "told", backbone=name)) as service:
            refused = await service.http.put(ADAPTER, json={"source": f"adapters/shop/{foreign.version}"})
            assert refused.status_code == 409
            await service.serve(store.adapter)


async def test_a_backbone_that_is_not_there_stops_the_start(store: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VQREC_BACKBONE"):
        async with running_service(make_settings(store.root, tmp_path / "told", backbone="0123")):
            pass
