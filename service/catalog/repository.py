"""The catalogue of one domain in Redis: every read and write of its items, vectors and codes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import structlog

from service.catalog.keys import DomainKeys
from service.catalog.mark import StoreMark
from service.catalog.record import ItemRecord, StoredItem
from service.catalog.scripts import DELETE_ITEM, PUT_ITEM, STORE_CODES
from service.catalog.stream import StreamId
from service.errors import UnknownDomainError, UnknownItemError
from service.redis_client import RedisClient

log = structlog.get_logger(__name__)

_PIPELINE = 500
_PAGE = 1000  # items that a scan asks for at a time; what it brings is a megabyte or so, and parsed in milliseconds


class CodedValue(NamedTuple):
    """An item as it is stored; ``code`` stands behind the tag of its text, and is None where there is none."""

    item_id: str
    value: bytes
    code: bytes | None


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """A record to be stored, if the item is still the one that was read.

    Args:
        replaces: the version that was read, as :func:`service.catalog.record.version_of` tells it.
        vector: float16 [text_dim] as bytes; None keeps the stored one.
        code: code under the writer's quantiser; None keeps the stored one.
    """

    item_id: str
    record: ItemRecord
    replaces: bytes
    vector: bytes | None = None
    code: bytes | None = None


class CatalogueRepository:
    """Reads and writes one domain. Every method raises RedisUnavailableError if Redis does not answer.

    What callers of the service ask for, :meth:`get`, :meth:`get_raw`, :meth:`put` and :meth:`delete`, raises it also if
    Redis is not the one that it was.

    Args:
        mark: which Redis that is; without it, any.
    """

    def __init__(self, redis: RedisClient, domain: str, stream_length: int, mark: StoreMark | None = None) -> None:
        self._redis = redis
        self._mark = mark or StoreMark(redis)
        self._keys = DomainKeys(domain)
        self._stream_length = stream_length
        self._put = redis.commands.register_script(PUT_ITEM)
        self._delete = redis.commands.register_script(DELETE_ITEM)
        self._store_codes = redis.commands.register_script(STORE_CODES)

    async def get(self, item_ids: Sequence[str]) -> list[StoredItem | None]:
        """The items with these ids, None where there is none that can be read."""
        raw = await self.get_raw(item_ids)
        if any(value is None for _, value in raw):
            await self._mark.check()
        return [StoredItem.parse(item_id, value) for item_id, value in raw]

    async def get_raw(self, item_ids: Sequence[str]) -> list[tuple[str, bytes | None]]:
        """As :meth:`get`, with the values as they are stored."""
        self._mark.ensure()
        raw = await self._hmget(self._keys.items, item_ids)
        return list(zip(item_ids, raw, strict=True))

    async def get_raw_with_vectors(self, item_ids: Sequence[str]) -> list[tuple[str, bytes | None, bytes | None]]:
        """Values and text vectors as they belong together: of one instant."""
        pipe = self._redis.commands.pipeline(transaction=True)
        pipe.hmget(self._keys.items, list(item_ids))
        pipe.hmget(self._keys.vectors, list(item_ids))
        records, vectors = await self._redis.run(pipe.execute())
        return list(zip(item_ids, records, vectors, strict=True))

    async def get_coded(self, quantizer: str, item_ids: Sequence[str]) -> list[CodedValue]:
        """Values as they are stored, each with its code under a quantiser; items that there are not are left out."""
        if not item_ids:
            return []
        pipe = self._redis.commands.pipeline(transaction=False)
        pipe.hmget(self._keys.items, list(item_ids))
        pipe.hmget(self._keys.codes(quantizer), list(item_ids))
        values, codes = await self._redis.run(pipe.execute())
        found = zip(item_ids, values, codes, strict=True)
        return [CodedValue(item_id, value, code) for item_id, value, code in found if value is not None]

    async def scan(self, quantizer: str) -> AsyncIterator[list[CodedValue]]:
        """Every item as :meth:`get_coded` gives it, in pages; one that changes meanwhile may come twice or in either
        state."""
        cursor = 0
        while True:
            cursor, found = await self._redis.run(self._redis.commands.hscan(self._keys.items, cursor, count=_PAGE))
            page = _by_id(cast("Mapping[bytes, bytes]", found))
            codes = await self.get_codes(quantizer, list(page))
            yield [CodedValue(*coded) for coded in zip(page, page.values(), codes, strict=True)]
            if cursor == 0:
                return

    async def count(self) -> int:
        return await self._redis.run(self._redis.commands.hlen(self._keys.items))

    async def get_codes(self, quantizer: str, item_ids: Sequence[str]) -> list[bytes | None]:
        """Codes under a quantiser, each behind the tag of its text; None where there is none."""
        return await self._hmget(self._keys.codes(quantizer), item_ids)

    async def store_codes(self, quantizer: str, codes: Mapping[str, bytes]) -> None:
        """Keep codes under a quantiser, each behind the tag of its text, unless the domain was deleted."""
        if codes:
            pairs: list[str | bytes] = [part for pair in codes.items() for part in pair]
            await self._redis.run(self._store_codes([self._keys.codes(quantizer), self._keys.adapter], pairs))

    async def put(self, quantizer: str, writes: Sequence[ItemWrite]) -> list[StreamId | None]:
        """Store items, each atomically; the id of its change, or None where another writer came first.

        Raises:
            UnknownDomainError: if the domain was deleted; items before that are gone with it.
        """
        self._mark.ensure()
        changes: list[StreamId | None] = []
        for start in range(0, len(writes), _PIPELINE):
            for status, change in await self._run_puts(quantizer, writes[start : start + _PIPELINE]):
                await self._check_known(status)
                changes.append(StreamId.parse(change.decode()) if status == b"stored" else None)
        return changes

    async def delete(self, quantizer: str, item_id: str) -> StreamId:
        """Delete an item; the id of the change.

        Raises:
            UnknownItemError, UnknownDomainError: if there is none.
        """
        self._mark.ensure()
        arguments = [item_id, str(self._stream_length)]
        status, change = await self._redis.run(self._delete(self._script_keys(quantizer), arguments))
        await self._check_known(status)
        if status == b"unknown-item":
            raise UnknownItemError(f"the domain {self._keys.domain!r} has no item {item_id!r}")
        return StreamId.parse(change.decode())

    async def _run_puts(self, quantizer: str, writes: Sequence[ItemWrite]) -> list[tuple[bytes, bytes]]:
        """A status and a change for each write."""
        keys = self._script_keys(quantizer)
        pipe = self._redis.commands.pipeline(transaction=False)
        # With every pipeline, so that no part of one can be carried out and the rest be refused for want of the script,
        # which a Redis that was started anew has forgotten; asking before would be a round trip more.
        pipe.script_load(PUT_ITEM)
        for write in writes:
            pipe.evalsha(self._put.sha, len(keys), *keys, *self._put_arguments(write))
        _, *replies = await self._redis.run(pipe.execute())
        return cast("list[tuple[bytes, bytes]]", replies)

    def _script_keys(self, quantizer: str) -> list[str]:
        keys = self._keys
        return [keys.items, keys.vectors, keys.codes(quantizer), keys.changes, keys.adapter]

    def _put_arguments(self, write: ItemWrite) -> list[str | bytes]:
        code = write.record.tag + write.code if write.code is not None else b""
        record = write.record.model_dump_json()
        return [write.item_id, write.replaces, record, write.vector or b"", code, str(self._stream_length)]

    async def _check_known(self, status: bytes) -> None:
        if status.startswith(b"unknown-"):
            await self._mark.check()  # what an emptied Redis lacks was not deleted
        if status == b"unknown-domain":
            raise UnknownDomainError(f"there is no domain {self._keys.domain!r}")

    async def _hmget(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        if not fields:
            return []
        return cast("list[bytes | None]", await self._redis.run(self._redis.commands.hmget(key, list(fields))))


def _by_id(found: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Values by item id. Something else wrote a field that is no id, and it is left out as a damaged record is."""
    page: dict[str, bytes] = {}
    for field, value in found.items():
        try:
            page[field.decode()] = value
        except UnicodeDecodeError:
            log.error("damaged-record", item_id=repr(field), error="UnicodeDecodeError")
    return page
