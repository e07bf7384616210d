"""Rotation without restart: the running service looks at the file of its keys, and takes those that are in it now."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.errors import ConfigurationError
from service.security.access import Access
from service.security.sources import KeySources, Signature

log = structlog.get_logger("service.security")

_SECONDS = 0.5


class KeyWatch:
    """Looks again and again. A file is read when two looks in a row have found it changed and the same.

    So one that is being written in place is left alone until its writer has paused. What cannot be read, or is wrong,
    changes nothing but what :class:`service.security.access.Access` says of it.
    """

    def __init__(self, sources: KeySources, access: Access) -> None:
        self._sources, self._access = sources, access
        self._seen: Signature | None = None
        self._taken: Signature | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("api-keys-not-looked-at")

    async def look(self) -> None:
        """Look once."""
        before, found = self._seen, await asyncio.to_thread(self._sources.signature)
        self._seen = found
        if found != before or (found is not None and found == self._taken):
            return
        self._taken = None  # what is wrong is read again and again: it may become readable without being changed
        try:
            self._access.replace(await asyncio.to_thread(self._sources.read))
        except ConfigurationError as error:
            self._access.refuse(error.detail)
        else:
            self._taken = found


@asynccontextmanager
async def watching(sources: KeySources, access: Access) -> AsyncIterator[None]:
    """Look at the file, if there is one, for as long as the block runs."""
    if sources.path is None:
        yield
        return
    task = asyncio.create_task(KeyWatch(sources, access).run(), name="watch the API keys")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
