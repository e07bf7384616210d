"""The HTTP server, and how it leaves: told to stop, it serves on for a while and asks everybody to go elsewhere."""

import asyncio
import signal
from functools import partial
from socket import socket
from types import FrameType

import structlog
import uvicorn

from service.stopping import Stopping

log = structlog.get_logger(__name__)

_TICK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")


class DrainingServer(uvicorn.Server):
    """Uvicorn's server, which on SIGTERM drains before it stops listening.

    A server that closes an idle connection cannot know whether a request is on its way there; whoever sent it sees a
    connection break, and must not send a POST again. So for a while every answer says `Connection: close`, /readyz
    answers 503, and all that still comes is served. SIGINT, and a second signal, cut that short.

    Args:
        config: uvicorn's.
        stopping: set when the first signal has come.
        drain_seconds: how long it goes on after SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain_seconds: float) -> None:
        super().__init__(config)
        self._stopping, self._drain_seconds = stopping, drain_seconds
        self._drains = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn: it is the handler of both signals."""
        self._drains = sig == signal.SIGTERM and not self.should_exit
        if not self.started:  # and not from within the handler, which may have come in the middle of another line
            asyncio.get_running_loop().call_soon_threadsafe(partial(log.info, "stopping-once-started"))
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """See uvicorn: it is called once a signal has come."""
        self._stopping.begin()
        self.config.encoded_headers.append(_CLOSE)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_seconds
        if self._drains:
            log.info("draining", seconds=self._drain_seconds)
        while self._drains and loop.time() < end:
            await self.on_tick(0)  # which takes over the header
            await asyncio.sleep(_TICK_SECONDS)
        await super().shutdown(sockets)
