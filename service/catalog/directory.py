"""Which domains shall be served and with which adapter: what admin calls write and every replica converges on."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import cast

import structlog
from redis.asyncio.client import Pipeline

from service.catalog.keys import CONTROL, DOMAINS, STORE, DomainKeys
from service.catalog.mark import StoreMark, foreign_redis
from service.catalog.scripts import ENLIST_DOMAIN, REPLACE_DAMAGED_ADAPTER, SET_ADAPTER
from service.errors import DamagedChoiceError, RedisUnavailableError
from service.redis_client import BLOCK_SECONDS, RedisClient, is_wrong_type

log = structlog.get_logger(__name__)

FIRST_REVISION = 1
_LAST_REVISION = (1 << 53) - 1  # a script knows the one after it exactly, and none beyond
_CONTROL_LENGTH = 100


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """An adapter by where it lies and what it must be."""

    source: str
    sha256: str

    @property
    def version(self) -> str:
        """The short name of :class:`models.bundle.Bundle`."""
        return self.sha256[:12]


@dataclass(frozen=True, slots=True)
class WantedDomain:
    """A domain as every replica shall serve it.

    Args:
        incarnation: tells this domain from an earlier one of the same name, whose items are void.
        revision: counts the changes of the choice; what compare-and-set compares.
        operation: the admin operation that made the choice.
    """

    domain: str
    incarnation: str
    revision: int
    operation: str
    adapter: AdapterChoice
    previous: AdapterChoice | None


class DomainDirectory:
    """Reads and writes the choices. Every method raises RedisUnavailableError if Redis does not answer.

    What an admin call asks first, :meth:`get`, :meth:`exists` and :meth:`enlist`, raises it also if Redis is not the
    one that it was.

    Args:
        mark: which Redis that is; shared by all parts of a process. Without it, any.
    """

    def __init__(self, redis: RedisClient, mark: StoreMark | None = None) -> None:
        self._redis = redis
        self.mark = mark or StoreMark(redis)
        self.damaged: frozenset[str] = frozenset()
        self._set_adapter = redis.commands.register_script(SET_ADAPTER)
        self._replace_damaged = redis.commands.register_script(REPLACE_DAMAGED_ADAPTER)
        self._enlist = redis.commands.register_script(ENLIST_DOMAIN)

    async def list_ours(self, *, serving: bool) -> list[WantedDomain]:
        """Every domain, by name, of the Redis that it was; of any other only where no domain is ``serving``.

        Raises:
            RedisUnavailableError: if domains are missing for another reason than that they were deleted.
        """
        # Asked before as well: of a Redis that is being restored, the list may be read before the domains are back.
        await self.mark.look(serving=serving)
        listed = await self.list_all()
        if listed:
            await self.mark.claim()
        await self.mark.check()
        return listed

    async def list_all(self) -> list[WantedDomain]:
        """Every domain, by name, whatever Redis this is. Those whose choice cannot be read are ``damaged`` then."""
        listed = cast("list[bytes]", await self._redis.run(self._redis.commands.hkeys(DOMAINS)))
        names = sorted(name.decode() for name in listed)
        pipe = self._redis.commands.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(DomainKeys(name).adapter)
        fields = await self._redis.run(_fetched(pipe)) if names else []
        # A name without a choice is one that a delete or a put has only half dealt with yet.
        chosen = {name: found for name, found in zip(names, fields, strict=True) if found or found is None}
        read = [choice for name, found in chosen.items() if found and (choice := _parsed(name, found)) is not None]
        damaged = frozenset(chosen) - {choice.domain for choice in read}
        for name in damaged - self.damaged:
            log.error("damaged-domain", domain=name)
        self.damaged = damaged
        return read

    async def get(self, domain: str) -> WantedDomain | None:
        """The choice of a domain, None if there is no such domain.

        Raises:
            DamagedChoiceError: if it cannot be read.
        """
        pipe = self._redis.commands.pipeline(transaction=False)
        pipe.hgetall(DomainKeys(domain).adapter)
        (fields,) = await self._redis.run(_fetched(pipe))
        await self.mark.check()
        choice = _parsed(domain, fields) if fields else None
        if choice is None and (fields or fields is None):
            raise DamagedChoiceError(domain, fields)
        return choice

    async def backbone(self) -> str | None:
        """The sha256 of the backbone that the domains are bound to, None while there are none."""
        bound = cast("list[bytes]", await self._redis.run(self._redis.commands.hvals(DOMAINS)))
        return bound[0].decode() if bound else None

    async def enlist(self, domain: str, backbone: str) -> str:
        """Add a domain to the list unless other domains are bound to another backbone; answers the one they are."""
        arguments = [domain, backbone, self.mark.known or "", self.mark.new_id()]
        answer = await self._redis.run(self._enlist([DOMAINS, STORE], arguments))
        store, bound = (word.decode() for word in cast("list[bytes]", answer))
        if not bound:
            raise foreign_redis()
        self.mark.remember(store)
        return bound

    async def choose(self, choice: WantedDomain) -> bool:
        """Write a choice if the one with the revision before it is still there; False where another call came first.

        The choice that it replaces becomes the previous one, unless it was of the same adapter.
        """
        expected = str(choice.revision - 1) if choice.revision > FIRST_REVISION else ""
        arguments = [expected, choice.incarnation, choice.adapter.source, choice.adapter.sha256, choice.operation]
        revision = await self._redis.run(self._set_adapter([DomainKeys(choice.domain).adapter], arguments))
        return bool(revision == choice.revision)

    async def replace_damaged(self, choice: WantedDomain, stored: Mapping[bytes, bytes] | None) -> bool:
        """Write a choice in the place of one that cannot be read, all else of the domain stays as it is.

        Args:
            stored: the one that cannot be read, None if it is no hash; False where it is another by now.
        """
        fields = {
            "incarnation": choice.incarnation,
            "revision": str(choice.revision),
            "source": choice.adapter.source,
            "sha256": choice.adapter.sha256,
            "operation": choice.operation,
        }
        if choice.previous is not None and choice.previous != choice.adapter:
            fields |= {"previous_source": choice.previous.source, "previous_sha256": choice.previous.sha256}
        pairs: list[tuple[str | bytes, str | bytes]] = [*(stored or {}).items(), *fields.items()]
        arguments = [str(-1 if stored is None else len(stored)), *chain.from_iterable(pairs)]
        return bool(await self._redis.run(self._replace_damaged([DomainKeys(choice.domain).adapter], arguments)))

    async def exists(self, domain: str) -> bool:
        exists = await self._redis.run(self._redis.commands.hexists(DOMAINS, domain))
        await self.mark.check()
        return bool(exists)

    async def delete(self, domain: str) -> None:
        """Remove a domain and all that belongs to it; doing it twice does no harm."""
        pipe = self._redis.commands.pipeline(transaction=True)
        pipe.hdel(DOMAINS, domain)
        pipe.unlink(*DomainKeys(domain).fixed)
        await self._redis.run(pipe.execute())
        await self.drop_other_codes(domain, ())  # to which nothing is added any more, now that there is no adapter

    async def drop_other_codes(self, domain: str, quantizers: Collection[str]) -> None:
        """Delete the codes under every quantiser of the domain but these."""
        keys = DomainKeys(domain)
        kept = {keys.codes(quantizer) for quantizer in quantizers}
        others = [key for key in await self._codes_of(domain) if key not in kept]
        if others:
            await self._redis.run(self._redis.commands.unlink(*others))

    async def refusal(self) -> str | None:
        """Why Redis takes no writes now, as far as it tells who writes nothing: with a full disk it refuses a PING."""
        try:
            await self._redis.run(self._redis.commands.ping())
            is_replica = await self._redis.is_replica()
        except RedisUnavailableError as error:
            return error.detail
        return "Redis takes no writes now: it is a replica" if is_replica else None

    async def wake_reconcilers(self) -> None:
        """Tell every process to look at the choices now."""
        await self._redis.run(self._redis.commands.xadd(CONTROL, {"wake": "up"}, maxlen=_CONTROL_LENGTH))

    async def wait_for_wake_up(self, position: str) -> str:
        """Wait until someone woke the reconcilers after ``position``, at most a second; answers the new position."""
        command = self._redis.blocking.xread({CONTROL: position}, block=int(BLOCK_SECONDS * 1000))
        entries = cast("Mapping[bytes, list[tuple[bytes, object]]]", await self._redis.wait(command))
        return entries[CONTROL.encode()][-1][0].decode() if entries else position

    async def _codes_of(self, domain: str) -> list[str]:
        keys: set[str] = set()
        cursor = 0
        while True:
            cursor, found = await self._redis.run(
                self._redis.commands.scan(cursor, match=DomainKeys(domain).all_codes, count=1000)
            )
            keys.update(key.decode() for key in cast("list[bytes]", found))
            if cursor == 0:
                return sorted(keys)


def follow_damaged(
    domain: str, stored: Mapping[bytes, bytes] | None, operation: str, adapter: AdapterChoice
) -> WantedDomain:
    """The choice that follows one that cannot be read, with what can be read of that.

    By its incarnation a process that heard of the one before knows it again, and swaps what it serves.
    """
    text = {}
    for name, value in (stored or {}).items():
        with suppress(UnicodeDecodeError):
            text[name.decode()] = value.decode()
    try:
        revision = _revision(text["revision"]) + 1
    except (KeyError, ValueError):
        revision = FIRST_REVISION
    incarnation = text.get("incarnation") or operation
    previous = _adapter(text, "") or _adapter(text, "previous_")
    return WantedDomain(domain, incarnation, revision, operation, adapter, previous)


async def _fetched(pipe: "Pipeline") -> list[Mapping[bytes, bytes] | None]:
    """The hashes that a pipeline asks for, None in the place of what is there and none."""
    found = await pipe.execute(raise_on_error=False)
    for each in found:
        if isinstance(each, Exception) and not is_wrong_type(each):
            raise each
    return [None if isinstance(each, Exception) else each for each in found]


def _parsed(domain: str, fields: Mapping[bytes, bytes]) -> WantedDomain | None:
    try:
        return _parse(domain, fields)
    except (KeyError, ValueError):  # something else wrote it
        return None


def _parse(domain: str, fields: Mapping[bytes, bytes]) -> WantedDomain:
    text = {name.decode(): value.decode() for name, value in fields.items()}
    previous = AdapterChoice(text["previous_source"], text["previous_sha256"]) if "previous_sha256" in text else None
    adapter = AdapterChoice(text["source"], text["sha256"])
    return WantedDomain(domain, text["incarnation"], _revision(text["revision"]), text["operation"], adapter, previous)


def _revision(text: str) -> int:
    number = int(text)
    if str(number) != text or not FIRST_REVISION <= number <= _LAST_REVISION:
        raise ValueError(f"{text!r} is no revision that a script could compare and count on")
    return number


def _adapter(text: Mapping[str, str], prefix: str) -> AdapterChoice | None:
    source, sha256 = text.get(f"{prefix}source"), text.get(f"{prefix}sha256")
    return AdapterChoice(source, sha256) if source and sha256 else None
