"""The whole service for tests: its real lifespan, driven over HTTP without a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from models.bundle import Bundle
from models.manifest import AdapterManifest
from service.app import create_app
from service.settings import Settings
from service.state import AppState

_POLLS = 2000
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class RunningService:
    """A service at work: ``http`` talks to it, ``state`` is what its endpoints see, ``app`` takes raw ASGI."""

    http: httpx.AsyncClient
    state: AppState
    app: ASGIApp

    async def until_ready(self) -> None:
        async def ready() -> bool:
            return (await self.http.get("/readyz")).status_code == 200

        await until(ready)

    async def serve(self, adapter: Bundle[AdapterManifest], domain: str = "shop") -> None:
        """Put an adapter and wait until this process serves it."""
        store = self.state.settings.artifacts
        answer = await self.http.put(
            f"/v1/admin/domains/{domain}/adapter", json={"source": str(adapter.path.relative_to(store))}
        )
        assert answer.status_code == 202, answer.text
        await self.until_finished(answer.headers["location"])

    async def until_finished(self, location: str) -> dict[str, Any]:
        """Wait for an operation to succeed or fail; the document it ends with."""

        async def finished() -> bool:
            return (await self.http.get(location)).json()["state"] in ("succeeded", "failed")

        await until(finished)
        document: dict[str, Any] = (await self.http.get(location)).json()
        return document

    async def put_items(self, texts: dict[str, str], domain: str = "shop") -> None:
        items = [{"item_id": item_id, "text": text} for item_id, text in texts.items()]
        answer = await self.http.post(f"/v1/domains/{domain}/items:bulk", json=items)
        assert answer.status_code == 200, answer.text
        assert answer.json()["invalid"] == 0

    async def recommend(self, history: list[str], domain: str = "shop", **more: object) -> dict[str, Any]:
        answer = await self.http.post(f"/v1/domains/{domain}/recommendations", json={"history": history, **more})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def recommended(self, history: list[str], domain: str = "shop") -> list[tuple[str, float]]:
        """Ids and scores alone."""
        return [(item["item_id"], item["score"]) for item in (await self.recommend(history, domain))["items"]]


def make_settings(artifacts: Path, data_dir: Path, **more: object) -> Settings:
    """Settings for a test: an embedded Redis that does not wait for the disk, unless ``redis_url`` is given."""
    return Settings(artifacts=artifacts, data_dir=data_dir, **{"redis_fsync": "everysec", **more})  # type: ignore[arg-type]


@asynccontextmanager
async def running_service(settings: Settings, **headers: str) -> AsyncIterator[RunningService]:
    """Run a service; ``headers`` go with every request."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as lifespan_state:
        assert lifespan_state is not None
        state: AppState = lifespan_state["app"]

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(lifespan_state)}, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
            yield RunningService(http, state, with_state)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that another task brings about; fail if it does not come to be."""
    for _ in range(_POLLS):
        if await condition():
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise AssertionError("it did not come to be")
