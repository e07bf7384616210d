"""The connections to Redis: every option set, commands that are never cut off, and outages told from mistakes."""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  (redis-py's own, not the built-in)
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.maint_notifications import MaintNotificationsConfig

from service.errors import ConfigurationError, RedisForbidsError, RedisUnavailableError
from service.metrics import Metrics
from service.redis_faults import NO_URL, access_fault

T = TypeVar("T")

BLOCK_SECONDS = 1.0
"""Longest that a blocking read waits on the server; it must stay well below the socket's timeout."""

log = structlog.get_logger(__name__)

_OUTAGES = (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OSError,
    TimeoutError,
)
_BEFORE_ERROR = "of pipeline caused error: ("  # redis-py's own words, and the command, before the error's in quotes
# What a Redis answers that takes no writes now. Where a script meets it, Redis 6 puts words of its own before it.
_REFUSAL = re.compile(
    r"['\"]?(?:Error running script \(call to f_\w+\): (?:@\w+: ?\d+: ?)*)?-?(MISCONF|OOM|READONLY|NOREPLICAS|BUSY)\b"
)
_MEND_SECONDS = 30  # somebody has to change rules, a password or a certificate
_BLOCKING_CONNECTIONS = 1024  # one a follower; a domain more is a connection more


class RedisClient:
    """Redis as the service uses it: ``commands`` answer at once, ``blocking`` ones wait for news.

    Both pools are bounded and make callers wait for a free connection. A command is not repeated by the client, since
    one whose answer was lost may have been carried out: who sent it knows whether it may be sent again.
    """

    def __init__(self, url: str, timeout_seconds: float, connections: int, metrics: Metrics) -> None:
        """Make the pools; nothing is connected yet.

        Raises:
            ConfigurationError: if ``url`` is not a Redis URL.
        """
        self._timeout = max(timeout_seconds, 2 * BLOCK_SECONDS)
        self._url = url
        self._metrics = metrics
        self._under_way: set[asyncio.Future[Any]] = set()
        self._server: str | None = None  # what it called itself when it was last asked
        self.commands = self._connect(connections)
        self.blocking = self._connect(_BLOCKING_CONNECTIONS)

    def _connect(self, connections: int) -> "Redis":
        try:
            pool = BlockingConnectionPool.from_url(
                self._url,
                max_connections=connections,
                timeout=self._timeout,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), retries=0),
                retry_on_error=[],
                health_check_interval=0,  # a read of zero bytes before each use finds a closed connection
                decode_responses=False,
                protocol=3,
                legacy_responses=False,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
        except ValueError as error:
            raise ConfigurationError(NO_URL) from error
        return Redis.from_pool(pool)

    async def run(self, command: Awaitable[T]) -> T:
        """Carry out a command (or a pipeline's ``execute()``) to its end, even if the caller is cancelled meanwhile.

        A connection whose command was cut off could hand its answer to the next one.

        Raises:
            RedisUnavailableError: if Redis does not answer or cannot do its work now.
        """
        with self._metrics.stage("redis"):
            return await self.wait(command)

    async def wait(self, command: Awaitable[T]) -> T:
        """As :meth:`run`, for a blocking read, whose time is not work."""
        task = asyncio.ensure_future(command)
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        try:
            result = await asyncio.shield(task)
        except (RedisError, OSError) as error:
            if isinstance(error, RedisError) and _refusal(error) == "READONLY":
                await self._connect_anew()
            raise self._translated(error) from error
        self._metrics.redis_up.set(1)
        return result

    async def is_replica(self) -> bool:
        """Whether Redis takes no writes since it is a replica, as far as is known also where its name leads to now.

        Who only reads is never refused by a server that was demoted, and would stay with it. So every connection is let
        go of where the name leads to one that is none, or to another server than when this was asked last. Where Redis
        does not say what it is, it counts as none.

        Raises:
            RedisUnavailableError: if Redis does not answer; that nobody does where its name leads to now is no reason.
        """
        try:
            told = await self.run(_told(self.commands))
        except (ResponseError, RedisForbidsError):  # an ACL without INFO
            return False
        before, self._server = self._server, told.get("run_id", self._server)
        if before not in (None, self._server):
            await self._connect_anew()  # others may still lead to the one before
            log.info("connected-anew")
        if not _says_replica(told):
            return False
        if await self._leads_to_a_replica():
            return bool(told.get("slave_read_only", 1))
        await self._connect_anew()
        log.info("left-a-replica")
        return False

    async def close(self) -> None:
        """Break off blocking reads, wait for the commands under way, close every connection."""
        await self.blocking.connection_pool.disconnect()
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self.commands.connection_pool.disconnect()

    async def _connect_anew(self) -> None:
        """Let go of every connection, those in use once their command is done.

        A server that became read-only was demoted, and the name in the URL may lead to its successor by now.
        Connections that were made before stay with it for as long as it runs.
        """
        try:
            for redis in (self.commands, self.blocking):
                await redis.connection_pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]  # redis leaves it so
                await redis.connection_pool.disconnect(inuse_connections=False)
        except (RedisError, OSError) as failed:
            log.warning("reconnect-failed", error=str(failed))  # who meets this server again tries again

    async def _leads_to_a_replica(self) -> bool:
        """Whether the name in the URL leads to a replica now, or nowhere that answers."""
        successor = self._connect(1)
        try:
            return _says_replica(await _told(successor))
        except _OUTAGES:
            return True
        except ResponseError:  # an ACL without INFO
            return False
        finally:
            await successor.connection_pool.disconnect()

    def _forget(self, task: "asyncio.Future[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that a caller who went away leaves no warning behind

    def _translated(self, error: Exception) -> Exception:
        fault = access_fault(error)
        if fault is not None and isinstance(error, NoPermissionError):
            return RedisForbidsError(fault, _MEND_SECONDS)
        if fault is not None:
            self._metrics.redis_up.set(0)
            return RedisUnavailableError(fault, _MEND_SECONDS)
        if isinstance(error, _OUTAGES):
            self._metrics.redis_up.set(0)
            return RedisUnavailableError("Redis does not answer now; try again shortly")
        refusal = _refusal(error)
        if refusal is not None:
            return RedisUnavailableError(f"Redis takes no writes now ({refusal}); try again shortly")
        return error


def is_wrong_type(error: Exception) -> bool:
    """Whether an error, also one of a pipeline, says that a key holds another type than the command is for."""
    words = str(error).rpartition(_BEFORE_ERROR)[2].lstrip("'\"")
    return isinstance(error, ResponseError) and words.startswith("WRONGTYPE")


async def _told(redis: "Redis") -> dict[str, Any]:
    """What a server says of itself and of its part in replication."""
    pipe = redis.pipeline(transaction=False)  # one INFO of two sections is not known before Redis 7
    pipe.info("server")
    pipe.info("replication")
    server, replication = await pipe.execute()
    return {**server, **replication}


def _says_replica(told: dict[str, Any]) -> bool:
    return bool(told.get("role") == "slave")


def _refusal(error: Exception) -> str | None:
    """The code of an error that says that Redis takes no writes now."""
    if isinstance(error, OutOfMemoryError):
        return "OOM"
    if isinstance(error, ReadOnlyError):
        return "READONLY"
    if not isinstance(error, ResponseError):
        return None
    found = _REFUSAL.match(str(error).rpartition(_BEFORE_ERROR)[2])
    return found[1] if found else None
