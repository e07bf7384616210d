"""What Prometheus reads, written beside the event loop."""

import asyncio
from concurrent.futures import Executor

from prometheus_client import CollectorRegistry, generate_latest


class Scrape:
    """Writes the metrics, one document at a time: of many domains and keys that takes tens of milliseconds.

    Whoever asks while one is being written gets that one, so that no queue grows: asking takes no key.

    Args:
        registry: of the metrics.
        thread: that writes.
    """

    def __init__(self, registry: CollectorRegistry, thread: Executor) -> None:
        self._registry, self._thread = registry, thread
        self._under_way: asyncio.Future[bytes] | None = None

    async def document(self) -> bytes:
        """The metrics in Prometheus's text format."""
        if self._under_way is None:
            loop = asyncio.get_running_loop()
            self._under_way = loop.run_in_executor(self._thread, generate_latest, self._registry)
            self._under_way.add_done_callback(self._forget)
        return await asyncio.shield(self._under_way)

    def _forget(self, written: "asyncio.Future[bytes]") -> None:
        self._under_way = None
        if not written.cancelled():
            written.exception()  # looked at, so that askers who went away leave no warning behind
