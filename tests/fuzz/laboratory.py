"""One Redis and one service at a time, on an event loop in a thread of its own, for tests that are no coroutines."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from service.catalog.keys import CONTROL, DomainKeys
from service.redis_server import RedisServerConfig, embedded_redis
from tests.fuzz.shop_model import PlainAdapter
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter

T = TypeVar("T")

_PATIENCE_SECONDS = 60.0  # of the service with its Redis: what is slow on a busy machine is no fault here


class Laboratory:
    """A service whose Redis outlives it.

    Args:
        store: what it serves; two more adapters are written into it, one of another quantiser.
        folder: for Redis and the service.
        popularity: of the adapters beside the store's.
    """

    service: RunningService

    def __init__(self, store: TinyStore, folder: Path, popularity: dict[str, int]) -> None:
        encoder = store.load_text_encoder()
        bundles = [
            store.adapter,
            write_tiny_adapter(store, seed=1, popularity=popularity),
            write_tiny_adapter(store, seed=2, quantizer_seed=2, popularity=popularity),
        ]
        self.adapters = [PlainAdapter(store, bundle, encoder) for bundle in bundles]
        self._store, self._folder = store, folder
        self._redis, self._life = ExitStack(), ExitStack()
        self._portal: BlockingPortal
        self._url = ""

    def __enter__(self) -> "Laboratory":
        self._portal = self._redis.enter_context(start_blocking_portal())
        config = RedisServerConfig(self._folder / "redis", "everysec", _PATIENCE_SECONDS)
        self._url = self._redis.enter_context(self._portal.wrap_async_context_manager(embedded_redis(config)))
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()
        self._redis.close()

    def run(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Call a coroutine function on the loop of the service."""
        return self._portal.call(work, *arguments)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to the service."""

        async def send() -> httpx.Response:
            return await self.service.http.request(method, path, **more)

        return self.run(send)

    def keys(self, pattern: str) -> list[bytes]:
        """The keys in Redis that match."""

        async def find() -> list[bytes]:
            redis = self.service.state.redis
            found: list[bytes] = await redis.run(redis.commands.keys(pattern))
            return found

        return self.run(find)

    def keys_with(self, domain: str, item_id: str, quantizer: str) -> list[str]:
        """The keys in Redis that hold something of an item, codes under this quantiser among them."""
        of_domain = DomainKeys(domain)

        async def find() -> list[str]:
            redis = self.service.state.redis
            keys = (of_domain.items, of_domain.vectors, of_domain.codes(quantizer))
            return [key for key in keys if await redis.run(redis.commands.hexists(key, item_id))]

        return self.run(find)

    def compact(self, domain: str) -> None:
        """Wait until the service has made one segment of a domain, if there is a need."""

        async def wait() -> None:
            redis, replica = self.service.state.redis, self.service.state.registry.get
            await redis.run(redis.commands.xadd(CONTROL, {"wake": "up"}))

            async def done() -> bool:
                found = replica(domain)
                return found is not None and not found.snapshot.needs_compaction

            await until(done)

        self.run(wait)

    def restart(self) -> None:
        """End the service and start another one on the same Redis."""
        self._life.close()
        self._start()

    def _start(self) -> None:
        settings = make_settings(
            self._store.root,
            self._folder / "data",
            redis_url=self._url,
            redis_timeout_seconds=_PATIENCE_SECONDS,
            apply_timeout_seconds=_PATIENCE_SECONDS,
        )
        running = running_service(settings)
        self.service = self._life.enter_context(self._portal.wrap_async_context_manager(running))
        self.run(self.service.until_ready)


def in_a_path(item_id: str) -> str:
    """An id as a segment of a path; clients would take dots alone for a way through folders."""
    return quote(item_id, safe="").replace(".", "%2E")
