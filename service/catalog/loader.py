"""Records in Redis ─► catalogue items: with the codes that are stored, and new ones where there are none."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
import structlog

from models.adapter import DomainAdapter
from service.catalog.item import CatalogueItem
from service.catalog.record import StoredItem
from service.catalog.repository import CatalogueRepository

log = structlog.get_logger(__name__)

TAG_BYTES = 8


class CatalogueLoader:
    """Loads items under one adapter. Parsing and quantising run on ``executor``, never on the event loop."""

    def __init__(self, repository: CatalogueRepository, adapter: DomainAdapter, executor: Executor) -> None:
        self._repository = repository
        self._adapter = adapter
        self._executor = executor

    async def load(self, item_ids: Sequence[str]) -> list[CatalogueItem]:
        """These items as they are now; ids without an item are left out."""
        raw = await self._repository.get_raw(item_ids)
        return await self._with_codes([(item_id, value) for item_id, value in raw if value is not None])

    async def load_all(self, on_progress: Callable[[float], None]) -> dict[str, CatalogueItem]:
        """The whole catalogue. Changes made meanwhile are in it or not: they must be replayed."""
        total = max(1, await self._repository.count())
        items: dict[str, CatalogueItem] = {}
        async for batch in self._repository.scan():
            for item in await self._with_codes(batch):
                items[item.item_id] = item
            on_progress(min(1.0, len(items) / total))
        return items

    async def _with_codes(self, raw: Sequence[tuple[str, bytes]]) -> list[CatalogueItem]:
        item_ids = [item_id for item_id, _ in raw]
        codes = await self._repository.get_codes(self._adapter.quantizer.sha256, item_ids)
        loop = asyncio.get_running_loop()
        items, uncoded = await loop.run_in_executor(self._executor, self._join, raw, codes)
        return [*items, *await self._encode(uncoded)] if uncoded else items

    def _join(
        self, raw: Sequence[tuple[str, bytes]], codes: Sequence[bytes | None]
    ) -> tuple[list[CatalogueItem], list[str]]:
        """Items whose stored code is of their text, and the ids of the others."""
        coded: list[tuple[StoredItem, bytes]] = []
        uncoded: list[str] = []
        for (item_id, value), code in zip(raw, codes, strict=True):
            stored = StoredItem.parse(item_id, value)
            if stored is None:
                continue
            if code is not None and code[:TAG_BYTES] == stored.record.tag and self._fits(code):
                coded.append((stored, code[TAG_BYTES:]))
            else:
                uncoded.append(stored.item_id)
        return self._items(coded), uncoded

    async def _encode(self, item_ids: Sequence[str]) -> list[CatalogueItem]:
        """Quantise stored text vectors and keep the codes, for this process's next start and for other replicas."""
        raw = await self._repository.get_raw_with_vectors(item_ids)
        loop = asyncio.get_running_loop()
        coded = await loop.run_in_executor(self._executor, self._quantize, raw)
        codes = {stored.item_id: stored.record.tag + code for stored, code in coded}
        await self._repository.store_codes(self._adapter.quantizer.sha256, codes)
        return self._items(coded)

    def _quantize(self, raw: Sequence[tuple[str, bytes | None, bytes | None]]) -> list[tuple[StoredItem, bytes]]:
        quantizer = self._adapter.quantizer
        found: list[StoredItem] = []
        vectors: list[bytes] = []
        for item_id, value, vector in raw:
            stored = StoredItem.parse(item_id, value)
            if stored is None:
                continue  # deleted since
            if vector is None or len(vector) != 2 * quantizer.text_dim:
                log.error("item-without-vector", item_id=item_id)
                continue
            found.append(stored)
            vectors.append(vector)
        matrix = np.frombuffer(b"".join(vectors), dtype="<f2").reshape(-1, quantizer.text_dim)  # [n, text_dim]
        return list(zip(found, quantizer.layout.to_bytes(quantizer.encode(matrix)), strict=True))

    def _items(self, coded: Sequence[tuple[StoredItem, bytes]]) -> list[CatalogueItem]:
        codes = self._adapter.quantizer.layout.from_bytes([code for _, code in coded])  # [n, D]
        return [
            CatalogueItem(stored.item_id, code, stored.record.attributes, stored.record.available)
            for (stored, _), code in zip(coded, codes, strict=True)
        ]

    def _fits(self, code: bytes) -> bool:
        return len(code) == TAG_BYTES + self._adapter.quantizer.layout.bytes_per_code
