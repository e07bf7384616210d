"""Items: read from Redis, written there, and awaited here."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.codes import Codes
from models.quantizer import Quantizer
from models.text_encoder import TextVectors
from service.catalog.record import ItemRecord, StoredItem, version_of
from service.catalog.registry import Registry
from service.catalog.replica import ReplicaContext
from service.catalog.repository import CatalogueRepository, ItemWrite
from service.catalog.stream import START, StreamId
from service.errors import UnknownItemError, WriteConflictError
from service.items.schemas import ItemPatch, Status, same

_CHUNK = 64  # items encoded and then written together: few, since what is done to them at once is in the way of others
_CHUNKS_AT_ONCE = 2  # one is encoded while the other is read or written
_FEW = 2  # vectors that are quantised in less time than it takes to hand them to a thread
_ATTEMPTS = 16  # each fails only if another write of the same item succeeds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write; ``version`` is the id of the change that the item is now of."""

    item_id: str
    status: Status
    version: str


class ItemService:
    """Writes go to Redis; the change stream brings them back, to this process and to all others.

    Args:
        context: of the replicas of this process.
        apply_timeout_seconds: longest wait until a write is served here.
    """

    def __init__(self, registry: Registry, context: ReplicaContext, apply_timeout_seconds: float) -> None:
        self._registry, self._context = registry, context
        self._apply_timeout = apply_timeout_seconds

    async def get(self, domain: str, item_id: str) -> StoredItem:
        """An item as it is stored.

        Raises:
            UnknownDomainError, UnknownItemError: if there is none.
        """
        stored = (await self._repository(domain).get([item_id]))[0]
        if stored is None:
            raise _unknown(domain, item_id)
        return stored

    async def put(self, domain: str, items: Sequence[tuple[str, ItemRecord]]) -> list[Outcome]:
        """Store items, and return when this process serves them. Of two with one id the last wins.

        Texts that are stored already are not encoded again. Each item is stored by itself: if an error ends the call,
        what was stored before stays, and is unchanged when the call is repeated.

        Raises:
            UnknownDomainError: if there is no such domain.
            OverloadedError: if too many texts wait to be encoded.
            WriteConflictError, RedisUnavailableError, NotAppliedYetError: try again.
        """
        self._registry.replica(domain)
        last = dict(items)
        found: dict[str, StoredItem | None] = {}
        versions: dict[str, str] = {}
        await self._put_chunks(domain, last, found, versions)
        newest = max(map(StreamId.parse, versions.values()), default=START)
        await self._registry.applied(domain, newest, self._apply_timeout)
        return _outcomes(items, found, versions)

    async def patch(self, domain: str, item_id: str, patch: ItemPatch) -> Outcome:
        """Change attributes and availability; nothing is encoded.

        Raises:
            UnknownDomainError, UnknownItemError: if there is none.
            InvalidItemError: if the item would have too many attributes.
            WriteConflictError, RedisUnavailableError, NotAppliedYetError: try again.
        """
        repository = self._repository(domain)
        quantizer = self._registry.snapshot(domain).adapter.quantizer.sha256
        for _ in range(_ATTEMPTS):
            stored = await self.get(domain, item_id)
            record = patch.applied_to(stored.record)
            if same(record, stored.record):
                await self._applied(domain, stored.version)
                return Outcome(item_id, "unchanged", stored.version)
            (change,) = await repository.put(quantizer, [ItemWrite(item_id, record, stored.version.encode())])
            if change is not None:
                await self._applied(domain, str(change))
                return Outcome(item_id, "updated", str(change))
        raise _conflict([item_id])

    async def delete(self, domain: str, item_id: str) -> None:
        """Delete an item, and return when this process no longer serves it.

        Raises:
            UnknownDomainError, UnknownItemError: if there is none.
            RedisUnavailableError, NotAppliedYetError: try again.
        """
        quantizer = self._registry.snapshot(domain).adapter.quantizer.sha256
        change = await self._repository(domain).delete(quantizer, item_id)
        await self._applied(domain, str(change))

    async def _put_chunks(
        self,
        domain: str,
        records: Mapping[str, ItemRecord],
        found: dict[str, StoredItem | None],
        versions: dict[str, str],
    ) -> None:
        """Write in chunks; fills in what was stored before and the versions now. The first error ends all."""
        at_once = asyncio.Semaphore(_CHUNKS_AT_ONCE)

        async def put_chunk(ids: Sequence[str]) -> None:
            async with at_once:
                pending = {item_id: records[item_id] for item_id in ids}
                await self._put_chunk(domain, pending, found, versions)

        ids = list(records)
        if len(ids) <= _CHUNK:
            await put_chunk(ids)
            return
        try:
            async with asyncio.TaskGroup() as chunks:
                for start in range(0, len(ids), _CHUNK):
                    chunks.create_task(put_chunk(ids[start : start + _CHUNK]))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _put_chunk(
        self,
        domain: str,
        pending: dict[str, ItemRecord],
        found: dict[str, StoredItem | None],
        versions: dict[str, str],
    ) -> None:
        """Write until nothing is pending; fills in what was stored before and the versions now."""
        repository = self._repository(domain)
        for _ in range(_ATTEMPTS):
            raw = dict(await repository.get_raw(list(pending)))
            stored = {item_id: StoredItem.parse(item_id, value) for item_id, value in raw.items()}
            found.update(stored)
            for item_id, before in stored.items():
                if before is not None and same(before.record, pending[item_id]):
                    versions[item_id] = before.version
                    del pending[item_id]
            if not pending:
                return
            replaced = {item_id: version_of(raw[item_id]) for item_id in pending}
            quantizer, writes = await self._writes(domain, pending, stored, replaced)
            changes = await repository.put(quantizer, writes)
            for write, change in zip(writes, changes, strict=True):
                if change is not None:
                    versions[write.item_id] = str(change)
                    del pending[write.item_id]
            if not pending:
                return
        raise _conflict(list(pending))

    async def _writes(
        self,
        domain: str,
        records: Mapping[str, ItemRecord],
        stored: Mapping[str, StoredItem | None],
        replaced: Mapping[str, bytes],
    ) -> tuple[str, list[ItemWrite]]:
        """The writes of these records, new texts encoded, and the quantiser that their codes are of."""
        new = [item_id for item_id, record in records.items() if _has_new_text(record, stored[item_id])]
        with self._context.metrics.stage("encode"):
            vectors = await self._registry.encode_texts(domain, [records[item_id].text for item_id in new])
        quantizer = self._registry.snapshot(domain).adapter.quantizer
        codes = await self._quantize(quantizer, vectors)  # [n, D]
        encoded = dict(zip(new, zip(vectors, quantizer.layout.to_bytes(codes), strict=True), strict=True))
        writes = []
        for item_id, record in records.items():
            vector, code = encoded.get(item_id, (None, None))
            raw = vector.astype("<f2").tobytes() if vector is not None else None
            writes.append(ItemWrite(item_id, record, replaced[item_id], raw, code))
        return quantizer.sha256, writes

    async def _quantize(self, quantizer: Quantizer, vectors: TextVectors) -> Codes:
        if len(vectors) <= _FEW:
            return quantizer.encode(vectors)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._context.apply, quantizer.encode, vectors)

    async def _applied(self, domain: str, version: str) -> None:
        await self._registry.applied(domain, StreamId.parse(version), self._apply_timeout)

    def _repository(self, domain: str) -> CatalogueRepository:
        return self._registry.replica(domain).repository


def _has_new_text(record: ItemRecord, stored: StoredItem | None) -> bool:
    return stored is None or stored.record.text_sha256 != record.text_sha256


def _outcomes(
    items: Sequence[tuple[str, ItemRecord]], found: Mapping[str, StoredItem | None], versions: Mapping[str, str]
) -> list[Outcome]:
    """What became of each item, as if they had been put one after the other."""
    before = {item_id: stored.record if stored else None for item_id, stored in found.items()}
    outcomes = []
    for item_id, record in items:
        previous = before[item_id]
        status: Status = "created" if previous is None else "unchanged" if same(previous, record) else "updated"
        before[item_id] = record
        outcomes.append(Outcome(item_id, status, versions[item_id]))
    return outcomes


def _unknown(domain: str, item_id: str) -> UnknownItemError:
    return UnknownItemError(f"the domain {domain!r} has no item {item_id!r}")


def _conflict(item_ids: Sequence[str]) -> WriteConflictError:
    return WriteConflictError(f"others keep writing the item {item_ids[0]!r}; try again")
