"""What the Redis in use does with acknowledged writes, as far as it tells: which of them may be lost, and when."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import cast

import structlog
from redis.exceptions import ResponseError

from service.errors import RedisForbidsError, RedisUnavailableError
from service.redis_client import RedisClient

log = structlog.get_logger(__name__)

OLDEST_VERSION = (6, 2)
CONFIGURED = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy", "min-replicas-to-write")
"""What is asked of CONFIG GET, one by one: an older server takes one name at a time."""

_FULL = 0.9  # of maxmemory
_RETRY_SECONDS = 1.0


class Severity(Enum):
    """How much a finding matters: ``LOSS`` breaks what the service promises, ``NOTE`` is to be known."""

    LOSS = "loss"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Weakness:
    """A way in which acknowledged writes may be lost or refused, and what to do about it."""

    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class RedisAccount:
    """What a server says of itself.

    Args:
        info: all of INFO, as redis-py reads it.
        config: of :data:`CONFIGURED`, what it told; nothing where CONFIG is refused, as managed servers do.
    """

    info: Mapping[str, object]
    config: Mapping[str, str]

    @property
    def version(self) -> str:
        return str(self.info.get("redis_version", "unknown"))

    @property
    def summary(self) -> str:
        """The settings that decide, on one line."""
        policy = self.config.get("maxmemory-policy") or self.info.get("maxmemory_policy", "not told")
        appendfsync = self.config.get("appendfsync", "not told") if self._appends else "off"
        return f"append-only file {appendfsync}, {policy}"

    @property
    def _appends(self) -> bool:
        return (
            bool(self._number("aof_enabled")) if "aof_enabled" in self.info else self.config.get("appendonly") != "no"
        )

    def weaknesses(self) -> list[Weakness]:
        """What is to be said of it, the worst first."""
        found = [*self._on_disk(), *self._in_memory(), *self._among_servers()]
        return sorted(found, key=lambda weakness: weakness.severity is Severity.NOTE)

    def _on_disk(self) -> list[Weakness]:
        if not self._appends:
            saves = self.config.get("save")
            kept = "nothing is on its disk" if saves == "" else "what was written since its last snapshot is lost"
            return [
                _loss(f"it keeps no append-only file: when it stops, {kept}; set appendonly yes, appendfsync always")
            ]
        found = []
        if self.info.get("aof_last_write_status", "ok") != "ok":
            found.append(_loss("it cannot write its append-only file, and refuses writes: look at its disk"))
        match self.config.get("appendfsync"):
            case "no":
                found.append(
                    _loss("appendfsync no: half a minute of acknowledged writes is lost with power; set always")
                )
            case "everysec":
                found.append(_note("appendfsync everysec: a second or two of acknowledged writes is lost with power"))
            case None:
                found.append(
                    _note("it does not tell its appendfsync: whether writes outlive a power cut, its keeper knows")
                )
        return found

    def _in_memory(self) -> list[Weakness]:
        policy = str(self.config.get("maxmemory-policy") or self.info.get("maxmemory_policy") or "")
        limit, used = self._number("maxmemory"), self._number("used_memory")
        if not policy:
            return [_note("it does not tell its maxmemory-policy, which must be noeviction")]
        if policy.startswith("allkeys-"):
            when = "as soon as its memory is full" if limit else "once a maxmemory is set"
            return [
                Weakness(
                    Severity.LOSS if limit else Severity.NOTE, f"{policy}: it evicts catalogues {when}; set noeviction"
                )
            ]
        if limit and used > _FULL * limit:
            return [_note(f"{used / limit:.0%} of its maxmemory is used: when it is full, writes get 503")]
        return []

    def _among_servers(self) -> list[Weakness]:
        found = []
        if self.info.get("role") == "slave":
            found.append(_loss("it is a replica, and takes no writes: point REDIS_URL at its primary"))
        elif self._number("connected_slaves"):
            at_least = self.config.get("min-replicas-to-write", "0")
            found.append(
                _note(f"a failover loses what its replicas have not got yet (min-replicas-to-write {at_least})")
            )
        version = tuple(int(part) for part in self.version.split(".")[:2] if part.isdecimal())
        if version and version < OLDEST_VERSION:
            found.append(_loss(f"version {self.version} is older than 6.2: commands are missing that writes need"))
        return found

    def _number(self, name: str) -> int:
        value = self.info.get(name, 0)
        return value if isinstance(value, int) else 0


async def ask(redis: RedisClient) -> RedisAccount:
    """What Redis says of itself.

    Raises:
        RedisUnavailableError: if it does not answer.
    """
    try:
        info = cast("Mapping[str, object]", await redis.run(redis.commands.info()))
    except (ResponseError, RedisForbidsError):  # an ACL without INFO
        info = {}
    config: dict[str, str] = {}
    for name in CONFIGURED:
        try:
            told = await redis.run(redis.commands.config_get(name))
        except (ResponseError, RedisForbidsError):  # a managed server, or an ACL without CONFIG
            break
        config |= {_text(key): _text(value) for key, value in cast("Mapping[object, object]", told).items()}
    return RedisAccount(info, config)


async def say_once(redis: RedisClient) -> None:
    """When Redis answers first, write to the log in which ways acknowledged writes may be lost."""
    while True:
        try:
            account = await ask(redis)
        except RedisUnavailableError:
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        for weakness in account.weaknesses():
            write = log.warning if weakness.severity is Severity.LOSS else log.info
            write("redis-durability", severity=weakness.severity.value, finding=weakness.text)
        log.info("redis-found", version=account.version, durability=account.summary)
        return


@asynccontextmanager
async def saying_once(redis: RedisClient) -> AsyncIterator[None]:
    """Do :func:`say_once` beside what is done meanwhile, for as long as that takes."""
    saying = asyncio.create_task(say_once(redis), name="ask Redis what it keeps")
    try:
        yield
    finally:
        saying.cancel()
        (done,), _ = await asyncio.wait([saying])
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("redis-durability-unknown", exc_info=error)


def _loss(text: str) -> Weakness:
    return Weakness(Severity.LOSS, text)


def _note(text: str) -> Weakness:
    return Weakness(Severity.NOTE, text)


def _text(raw: object) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
