"""Tells the Redis that holds this service's data from an empty one, or another, that answers at the same address."""

import uuid
from collections.abc import Callable
from logging import ERROR, INFO
from typing import cast

import structlog

from service.catalog.keys import STORE
from service.errors import RedisUnavailableError
from service.redis_client import RedisClient

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 30  # somebody has to do something about it


def _random_id() -> str:
    return uuid.uuid4().hex


class StoreMark:
    """An id that is written to Redis with the first domain and stays there, and what this process remembers of it.

    While domains are served, a Redis without that id, or with another one, is no reason to drop them: what it lacks was
    not deleted. Nothing is written to it either, since that would begin a second history behind the first one's back.
    A process that serves nothing takes Redis as it is.

    Args:
        new_id: makes the id of a store that has none.
    """

    def __init__(self, redis: RedisClient, new_id: Callable[[], str] = _random_id) -> None:
        self._redis, self.new_id = redis, new_id
        self._known: str | None = None
        self._foreign = False
        self._changes = 0

    @property
    def known(self) -> str | None:
        """The id that this process remembers, None before it has seen a domain."""
        return self._known

    @property
    def changes(self) -> int:
        """How often Redis was found not to be the one that it was before; what was read across one is void."""
        return self._changes

    def ensure(self) -> None:
        """Ask no one.

        Raises:
            RedisUnavailableError: if Redis was last seen not to be ours.
        """
        if self._foreign:
            raise foreign_redis()

    async def check(self, since: int | None = None) -> None:
        """Ask Redis now, so that what was read from it before is known to be ours.

        Args:
            since: what :attr:`changes` was before the reading.

        Raises:
            RedisUnavailableError: if Redis is not ours, or was not meanwhile.
        """
        found = await self._read()
        if (self._known is not None and found != self._known) or (since is not None and since != self._changes):
            raise foreign_redis()

    async def look(self, *, serving: bool) -> None:
        """Find out whether Redis is ours; one that is not is taken for ours unless domains are ``serving``.

        Raises:
            RedisUnavailableError: if it is not.
        """
        found = await self._read()
        ours = self._known is None or found == self._known
        if ours and self._foreign:
            log.info("redis-is-ours-again", store=found)
        elif not ours and not self._foreign:
            self._changes += 1
            log.log(ERROR if serving else INFO, "redis-is-not-ours", expected=self._known, found=found, serving=serving)
        self._foreign = serving and not ours
        self.ensure()
        self._known = found

    async def claim(self) -> None:
        """Mark the Redis in which domains were found, unless it is marked."""
        if self._known is None:
            await self._redis.run(self._redis.commands.set(STORE, self.new_id(), nx=True))
            self._known = await self._read()

    def remember(self, store: str) -> None:
        """Take the id of the store to which a domain was written just now."""
        self._known = self._known or store

    async def _read(self) -> str | None:
        found = cast("bytes | None", await self._redis.run(self._redis.commands.get(STORE)))
        return found.decode() if found is not None else None


def foreign_redis() -> RedisUnavailableError:
    """What callers are told of a Redis that is not ours."""
    return RedisUnavailableError(
        "Redis is not the one that this process took its domains from: it was emptied or replaced. They are served "
        "from memory, and nothing is written. Restore Redis's backup; or, to begin anew with what Redis holds now, "
        "restart the service",
        _RETRY_SECONDS,
    )
