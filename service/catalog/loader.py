"""Records in Redis ─► columns: with the codes that are stored, and new ones where there are none."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from itertools import compress
from typing import TypeVar

import numpy as np
import structlog

from models.adapter import DomainAdapter
from service.catalog.columns import Columns, ColumnsBuilder, joined
from service.catalog.record import StoredItem
from service.catalog.repository import CatalogueRepository, CodedValue

log = structlog.get_logger(__name__)

T = TypeVar("T")

TAG_BYTES = 8
_VECTOR = "<f2"
_PART = 1 << 16  # items that are Python objects at a time


class CatalogueLoader:
    """Loads items under one adapter. Parsing and quantising run on ``executor``, never on the event loop."""

    def __init__(self, repository: CatalogueRepository, adapter: DomainAdapter, executor: Executor) -> None:
        self._repository = repository
        self._adapter = adapter
        self._executor = executor

    async def load(self, item_ids: Sequence[str]) -> Columns:
        """These items as they are now; ids without an item are left out."""
        builder = ColumnsBuilder(self._adapter.quantizer.layout)
        await self._add(builder, await self._repository.get_coded(self._adapter.quantizer.sha256, item_ids))
        return await self._run(builder.columns)

    async def load_all(self, on_progress: Callable[[float], None]) -> Columns:
        """The whole catalogue. Changes made meanwhile are in it or not: they must be replayed."""
        total = max(1, await self._repository.count())
        parts: list[Columns] = []
        builder, count = ColumnsBuilder(self._adapter.quantizer.layout), 0
        async for page in _ahead(self._repository.scan(self._adapter.quantizer.sha256)):
            await self._add(builder, page)
            count += len(page)
            on_progress(min(1.0, count / total))
            if len(builder) >= _PART:
                parts.append(await self._run(builder.columns))
                builder = ColumnsBuilder(self._adapter.quantizer.layout)
        parts.append(await self._run(builder.columns))
        return await self._run(lambda: joined(parts))

    async def _add(self, builder: ColumnsBuilder, page: Sequence[CodedValue]) -> None:
        uncoded = await self._run(lambda: self._add_coded(builder, page))
        if uncoded:
            await self._encode(builder, uncoded)

    def _add_coded(self, builder: ColumnsBuilder, page: Sequence[CodedValue]) -> list[str]:
        """Add the items whose stored code is of their text; the ids of the others."""
        uncoded: list[str] = []
        length = TAG_BYTES + self._adapter.quantizer.layout.bytes_per_code
        for item_id, value, code in page:
            stored = StoredItem.parse(item_id, value)
            if stored is None:
                continue
            record = stored.record
            if code is not None and code[:TAG_BYTES] == record.tag and len(code) == length:
                builder.add(item_id, code[TAG_BYTES:], record.attributes, record.available)
            else:
                uncoded.append(item_id)
        return uncoded

    async def _encode(self, builder: ColumnsBuilder, item_ids: Sequence[str]) -> None:
        """Quantise stored text vectors and keep the codes, for this process's next start and for other replicas."""
        raw = await self._repository.get_raw_with_vectors(item_ids)
        coded = await self._run(lambda: self._quantize(raw))
        codes = {stored.item_id: stored.record.tag + code for stored, code in coded}
        await self._repository.store_codes(self._adapter.quantizer.sha256, codes)
        for stored, code in coded:
            builder.add(stored.item_id, code, stored.record.attributes, stored.record.available)

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
        matrix = np.frombuffer(b"".join(vectors), dtype=_VECTOR).reshape(-1, quantizer.text_dim)  # [n, text_dim]
        finite = np.isfinite(matrix).all(axis=1)
        for stored in compress(found, ~finite):
            log.error("item-without-vector", item_id=stored.item_id)
        codes = quantizer.layout.to_bytes(quantizer.encode(matrix[finite]))
        return list(zip(compress(found, finite), codes, strict=True))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


async def _ahead(pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same pages, of which the next is fetched while one is worked on."""
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        following.cancel()
