"""Adapters over HTTP, from a server that may mean no good, while the service goes on serving."""

import os
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.loopback_server import Answer, Server, folder, serving
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

SECONDS = 0.5


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts")


class Shop:
    """A service that serves a shop, and a server of adapters whose answers a test chooses."""

    def __init__(self, service: RunningService, server: Server, store: TinyStore) -> None:
        self.service, self.server, self.store = service, server, store
        self.answer: Answer = folder(store.store.adapters("shop"))

    async def swap(self, version: str) -> tuple[int, str]:
        """Status and what the answer tells."""
        body = {"source": f"{self.server.url}/{version}"}
        answer = await self.service.http.put("/v1/admin/domains/shop/adapter", json=body)
        if answer.status_code == 202:
            await self.service.until_finished(answer.headers["location"])
        return answer.status_code, answer.json().get("detail", "")

    async def serves(self) -> str:
        return str((await self.service.recommend(["hammer"]))["adapter_version"])


@pytest.fixture
async def shop(store: TinyStore, tmp_path: Path) -> AsyncIterator[Shop]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        found.answer(request)

    with serving(answer) as server:
        settings = make_settings(
            store.root, tmp_path / "data", adapter_url_prefixes=server.url, adapter_download_seconds=SECONDS
        )
        async with running_service(settings) as service:
            await service.until_ready()
            await service.serve(store.adapter)
            await service.put_items({name: f"{name} of wood" for name in ("hammer", "saw", "plane")})
            found = Shop(service, server, store)
            yield found


async def test_an_adapter_is_fetched_and_served(shop: Shop) -> None:
    other = write_tiny_adapter(shop.store, seed=1)
    assert (await shop.swap(other.version))[0] == 202
    assert await shop.serves() == other.version


async def test_what_no_domain_can_go_back_to_is_removed_from_the_disk(shop: Shop, tmp_path: Path) -> None:
    fetched = tmp_path / "data" / "adapters"
    first, second, third = (write_tiny_adapter(shop.store, seed=seed) for seed in (1, 2, 3))
    for adapter in (first, second, third):
        for path in fetched.glob("*"):
            os.utime(path, (0, 0))  # as if days had passed
        await shop.swap(adapter.version)

    async def removed() -> bool:
        return {path.name for path in fetched.iterdir()} == {second.version, third.version}

    await until(removed)
    shop.answer = lambda request: request.send_error(404)
    answer = await shop.service.http.post("/v1/admin/domains/shop/adapter:rollback")
    await shop.service.until_finished(answer.headers["location"])
    assert await shop.serves() == second.version


async def test_a_redirect_changes_nothing(shop: Shop) -> None:
    with serving(folder(shop.store.store.adapters("shop"))) as elsewhere:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(302)
            request.send_header("Location", f"http://127.0.0.1:{elsewhere.port}{request.path}")
            request.send_header("Content-Length", "0")
            request.end_headers()

        shop.answer = redirect
        status, detail = await shop.swap(write_tiny_adapter(shop.store, seed=1).version)
        assert (status, elsewhere.asked) == (422, [])
    assert "redirects are not followed" in detail
    assert await shop.serves() == shop.store.adapter.version


async def test_a_server_that_takes_for_ever_changes_nothing(shop: Shop) -> None:
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while not over.wait(0.01):
                request.wfile.write(b"x")
        except OSError:
            pass  # the service has gone

    shop.answer = drip
    try:
        status, detail = await shop.swap(write_tiny_adapter(shop.store, seed=1).version)
    finally:
        over.set()
    assert status == 422
    assert f"took longer than {SECONDS} seconds" in detail
    assert await shop.serves() == shop.store.adapter.version


async def test_an_adapter_outside_the_prefix_is_not_asked_for(shop: Shop) -> None:
    for source in (
        f"http://127.0.0.1:{shop.server.port}/secret",
        f"http://127.0.0.1:{shop.server.port}/adapters/../secret",
        f"http://127.0.0.1:{shop.server.port}@evil.example/adapters/x",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc",
    ):
        answer = await shop.service.http.put("/v1/admin/domains/shop/adapter", json={"source": source})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:vqrec:problem:invalid-source")
    assert shop.server.asked == []
