"""One domain as this process serves it: an immutable snapshot, and the follower that alone replaces it."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import structlog

from models.adapter import DomainAdapter
from service.catalog.directory import WantedDomain
from service.catalog.loader import CatalogueLoader
from service.catalog.mark import StoreMark
from service.catalog.repository import CatalogueRepository
from service.catalog.snapshot import DomainSnapshot
from service.catalog.stream import START, Change, ChangeStream, StreamGapError, StreamId
from service.errors import RedisUnavailableError
from service.inference.index.choice import IndexConfig
from service.metrics import Metrics
from service.redis_client import RedisClient

log = structlog.get_logger(__name__)

_FIRST_BACKOFF = 0.05
_LAST_BACKOFF = 2.0
_TOGETHER_SECONDS = 0.01  # in which changes are gathered after some were applied: many cost hardly more than one


@dataclass(frozen=True)
class ReplicaContext:
    """What every replica of this process shares.

    Args:
        apply: threads for small work, which new items wait for.
        build: threads for work on whole catalogues.
        stream_length: changes that a stream keeps, about.
        index: what is asked of every domain's index.
    """

    redis: RedisClient
    metrics: Metrics
    apply: Executor
    build: Executor
    stream_length: int
    index: IndexConfig

    @cached_property
    def mark(self) -> StoreMark:
        return StoreMark(self.redis)

    def repository(self, domain: str) -> CatalogueRepository:
        return CatalogueRepository(self.redis, domain, self.stream_length, self.mark)


class DomainReplica:
    """A snapshot and its place in the change stream.

    All changes, also those of this process, come through the stream and are applied in its order, so every replica
    arrives at the same catalogue. What follows the stream from an older place arrives there too: a change names an
    item, whose state is then read.
    """

    def __init__(
        self, wanted: WantedDomain, snapshot: DomainSnapshot, position: StreamId, context: ReplicaContext
    ) -> None:
        self.wanted = wanted
        self.fault: str | None = None
        self._snapshot = snapshot
        self._position = position
        self._context = context
        self._stream = ChangeStream(context.redis, wanted.domain)
        self.repository = context.repository(wanted.domain)
        self._loader = CatalogueLoader(self.repository, snapshot.adapter, context.apply)
        self._advanced = asyncio.Condition()
        self._doubtful = False  # whether the stream may be another than the one that was read last
        self._store_changes = context.mark.changes
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    @property
    def domain(self) -> str:
        return self.wanted.domain

    @property
    def adapter(self) -> DomainAdapter:
        return self._snapshot.adapter

    @property
    def snapshot(self) -> DomainSnapshot:
        return self._snapshot

    @property
    def position(self) -> StreamId:
        """The last change that the snapshot has seen."""
        return self._position

    def start(self) -> None:
        """Follow the stream until :meth:`stop`."""
        self._task = asyncio.create_task(self._follow(), name=f"follow {self.domain}")

    async def pause(self) -> None:
        """Stop following and go on serving; whoever waits for a change goes on waiting."""
        # A task that was cancelled keeps its frames, and so this replica: held on to here, both would outlive the swap.
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop(self) -> None:
        """Stop following; whoever waits for a change is let go."""
        await self.pause()
        self._stopped = True
        async with self._advanced:
            self._advanced.notify_all()

    async def reached(self, change: StreamId) -> bool:
        """Wait until ``change`` is applied; False if the replica was stopped before."""
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._stopped or self._position >= change)
        return self._position >= change

    async def _follow(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            try:
                await self._step()
            except RedisUnavailableError as error:
                self.fault = error.detail
            except Exception as error:
                # A follower that ended would leave the catalogue behind for ever, and nobody would notice.
                log.exception("follower-failed", domain=self.domain)
                self.fault = f"the changes cannot be applied: {error}"
            else:
                self.fault = None
                backoff = _FIRST_BACKOFF
                continue
            self._doubtful = True
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LAST_BACKOFF)

    async def _step(self) -> None:
        self._context.mark.ensure()
        store_changes = self._context.mark.changes
        doubtful = self._doubtful or store_changes != self._store_changes
        if doubtful and await self._stream.end() < self._position:
            await self._reload("Redis has lost changes that were applied")
        self._doubtful, self._store_changes = False, store_changes
        try:
            changes = await self._stream.read(self._position)
        except StreamGapError as gap:
            await self._reload(str(gap))
        else:
            await self._apply(changes)
            # An older stream may have been put in its place, whose ids stay below this position: nothing would come.
            self._doubtful = not changes

    async def _apply(self, changes: list[Change]) -> None:
        if not changes:
            return
        item_ids = list(dict.fromkeys(change.item_id for change in changes))
        found = await self._loader.load(item_ids)
        if len(found) < len(item_ids) or changes[0].after == START:
            await self._context.mark.check()  # these items were deleted, and this is the stream that was followed
        loop = asyncio.get_running_loop()
        snapshot = await loop.run_in_executor(self._context.apply, self._snapshot.with_changes, found, item_ids)
        self._context.metrics.changes_applied.labels(self.domain).inc(len(changes))
        await self._advance(snapshot, changes[-1].id)
        await asyncio.sleep(_TOGETHER_SECONDS)

    async def _reload(self, reason: str) -> None:
        store_changes = self._context.mark.changes
        await self._context.mark.check()
        log.warning("catalogue-reloaded", domain=self.domain, reason=reason)
        position = await self._stream.end()
        columns = await self._loader.load_all(lambda _: None)
        await self._context.mark.check(store_changes)
        loop = asyncio.get_running_loop()
        snapshot = await loop.run_in_executor(self._context.build, self._snapshot.rebuilt, columns)
        await self._advance(snapshot, position)

    async def _advance(self, snapshot: DomainSnapshot, position: StreamId) -> None:
        async with self._advanced:
            self._snapshot, self._position = snapshot, position
            self._advanced.notify_all()
        self._context.metrics.catalogue_items.labels(self.domain).set(len(snapshot))
