"""What was acknowledged is there after a restart, and Redis may come and go."""

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

TEXTS = {"hammer": "claw hammer", "saw": "hand saw", "plane": "jack plane"}


async def test_a_restart_resumes_adapter_items_and_answers(tiny: TinyStore, tmp_path: Path) -> None:
    settings = make_settings(tiny.root, tmp_path / "data", redis_fsync="always")
    async with running_service(settings) as before:
        await before.serve(tiny.adapter)
        await before.put_items(TEXTS)
        await before.http.patch("/v1/domains/shop/items/saw", json={"attributes": {"teeth": 42}})
        answer, details = await before.recommended(["hammer"]), (await before.http.get("/v1/domains/shop")).json()
    async with running_service(settings) as after:
        await after.until_ready()
        assert await after.recommended(["hammer"]) == answer
        assert (await after.http.get("/v1/domains/shop")).json()["adapter_sha256"] == details["adapter_sha256"]
        assert (await after.http.get("/v1/domains/shop/items/saw")).json()["attributes"] == {"teeth": 42}


async def test_a_service_that_is_killed_loses_nothing_that_it_acknowledged(tiny: TinyStore, tmp_path: Path) -> None:
    settings = make_settings(tiny.root, tmp_path / "data", redis_fsync="always")
    async with running_service(settings) as before:
        await before.serve(tiny.adapter)
    code = "from service.commands import serve; serve()"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--port", str(port), "--artifacts", str(tiny.root), "--data-dir", str(tmp_path / "data")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stderr=asyncio.subprocess.DEVNULL
    )
    acknowledged: set[str] = set()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

        async def ready() -> bool:
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(ready)

        async def put(number: int) -> None:
            answer = await http.put(f"/v1/domains/shop/items/{number}", json={"text": f"text {number}"})
            if answer.status_code == 201:
                acknowledged.add(str(number))
            if len(acknowledged) == 30:
                process.kill()

        await asyncio.gather(*(put(number) for number in range(200)), return_exceptions=True)
        await process.wait()
    assert 30 <= len(acknowledged) < 200
    async with running_service(settings) as after:
        await after.until_ready()
        served = {item.item_id for item in after.state.registry.snapshot("shop").items()}
        assert acknowledged <= served


async def test_rollback_outlives_a_restart(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    other = write_tiny_adapter(store, seed=1)
    settings = make_settings(store.root, tmp_path / "data")
    async with running_service(settings) as before:
        await before.serve(store.adapter)
        await before.serve(other)
    async with running_service(settings) as after:
        await after.until_ready()
        answer = await after.http.post("/v1/admin/domains/shop/adapter:rollback")
        assert (await after.until_finished(answer.headers["location"]))["state"] == "succeeded"
        assert (await after.http.get("/v1/domains/shop")).json()["adapter_version"] == store.adapter.version


async def test_recommending_goes_on_without_redis_and_writing_resumes_with_it(tiny: TinyStore, tmp_path: Path) -> None:
    config = RedisServerConfig(tmp_path / "redis", "always", 30)
    async with AsyncExitStack() as stack:
        first_life = await stack.enter_async_context(AsyncExitStack())
        url = await first_life.enter_async_context(embedded_redis(config))
        service = await stack.enter_async_context(
            running_service(make_settings(tiny.root, tmp_path / "data", redis_url=url))
        )
        await service.serve(tiny.adapter)
        await service.put_items(TEXTS)
        answer = await service.recommended(["hammer"])

        await first_life.aclose()
        refused = await service.http.put("/v1/domains/shop/items/new", json={"text": "new"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["content-type"] == "application/problem+json"
        assert await service.recommended(["hammer"]) == answer

        async def degraded() -> bool:
            ready = await service.http.get("/readyz")
            assert ready.status_code == 200
            return bool(ready.json()["status"] == "degraded")

        await until(degraded)

        await stack.enter_async_context(embedded_redis(config))

        async def accepted() -> bool:
            return (await service.http.put("/v1/domains/shop/items/new", json={"text": "new"})).status_code < 300

        await until(accepted)
        assert "new" in dict(await service.recommended(["hammer"]))

        async def healthy() -> bool:
            return bool((await service.http.get("/readyz")).json()["status"] == "ready")

        await until(healthy)


async def test_a_domain_that_cannot_be_loaded_does_not_keep_the_others_from_being_served(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    other = write_tiny_adapter(store, seed=1, domain="garden")
    settings = make_settings(store.root, tmp_path / "data")
    async with running_service(settings) as before:
        await before.serve(store.adapter)
        await before.serve(other, "garden")
        await before.put_items(TEXTS)
    (other.path / "adapter.safetensors").unlink()
    async with running_service(settings) as after:
        await after.until_ready()
        readiness = (await after.http.get("/readyz")).json()
        assert readiness["status"] == "degraded"
        assert any("domain garden" in reason and "failed" in reason for reason in readiness["reasons"])

        async def served() -> bool:
            answer = await after.http.post("/v1/domains/shop/recommendations", json={"history": ["hammer"]})
            return answer.status_code == 200

        await until(served)
        assert (await after.http.get("/v1/domains/garden")).json()["last_error"]


async def test_a_service_without_redis_starts_and_says_what_it_waits_for(tiny: TinyStore, tmp_path: Path) -> None:
    settings = make_settings(tiny.root, tmp_path / "data", redis_url=f"unix://{tmp_path}/nobody.sock")
    async with running_service(settings) as service:
        ready = await service.http.get("/readyz")
        assert ready.status_code == 503
        assert "Redis" in ready.json()["reasons"][0]
        assert (await service.http.get("/livez")).status_code == 200
        answer = await service.http.post("/v1/domains/shop/recommendations", json={"history": ["a"]})
        assert answer.status_code == 503
