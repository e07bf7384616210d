"""From a wanted adapter to a replica that is fit to serve: read, verified, built, tested, and up to date."""

import asyncio
from collections.abc import Callable, Collection
from typing import cast

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.backbone import GOLDEN_FILE, Backbone
from models.errors import InvalidArtifactError
from service.catalog.building import Models, compact, derive, load
from service.catalog.directory import WantedDomain
from service.catalog.replica import DomainReplica, ReplicaContext
from service.catalog.snapshot import DomainSnapshot
from service.catalog.sources import AdapterSources
from service.inference.runtime import RuntimeProvider
from service.inference.search import Selection, nearest

_TEST_LIMIT = 10
_READS_AT_ONCE = 2  # of the threads for what blocks: a source may not answer for minutes


class ReplicaBuilder:
    """Builds replicas in the background, beside those that serve."""

    def __init__(self, sources: AdapterSources, runtimes: RuntimeProvider, context: ReplicaContext) -> None:
        self._sources, self._runtimes, self._context = sources, runtimes, context
        self._reading = asyncio.Semaphore(_READS_AT_ONCE)

    async def build(
        self, wanted: WantedDomain, previous: DomainReplica | None, on_progress: Callable[[float], None]
    ) -> DomainReplica:
        """A replica of the wanted adapter, following the stream and at least as far in it as ``previous``.

        Raises:
            VqrecError: if the adapter cannot be read, is not what it should be, or fails its test.
        """
        on_progress(0.0)
        async with self._reading:
            adapter = await asyncio.to_thread(self._read, wanted)
        runtime = await self._runtimes.provide(adapter.bundle.manifest.backbone)
        models = Models(adapter, runtime.backbone.network)
        if previous is not None and previous.adapter.quantizer.sha256 == adapter.quantizer.sha256:
            snapshot, position = await derive(models, previous, self._context)
        else:
            snapshot, position = await load(wanted.domain, models, self._context, on_progress)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._context.build, check_answers, snapshot, runtime.backbone)
        return await self.follow(DomainReplica(wanted, snapshot, position, self._context), previous)

    async def compact(self, previous: DomainReplica) -> DomainReplica:
        """A replica of the same catalogue in one segment, which has taken over from ``previous``."""
        snapshot, position = await compact(previous, self._context)
        return await self.follow(DomainReplica(previous.wanted, snapshot, position, self._context), previous)

    async def tidy(self, wanted: Collection[WantedDomain]) -> None:
        """Let go of adapters on disk that no domain is served with or can be rolled back to."""
        choices = [choice for domain in wanted for choice in (domain.adapter, domain.previous) if choice is not None]
        await asyncio.to_thread(self._sources.drop_unused, {choice.sha256 for choice in choices})

    async def follow(self, replica: DomainReplica, previous: DomainReplica | None) -> DomainReplica:
        """Start a replica and wait until it has seen all that ``previous`` serves, which then follows no further.

        Side by side under steady writes neither would ever be seen to be level with the other. So the replica catches
        up with where ``previous`` is now, then ``previous`` pauses and its last lead is made up. Writes that wait to be
        served in that moment are served by the replica.
        """
        replica.start()
        try:
            if previous is not None:
                await replica.reached(previous.position)
                await previous.pause()
                await replica.reached(previous.position)
        except asyncio.CancelledError:
            await replica.stop()
            raise
        return replica

    def _read(self, wanted: WantedDomain) -> DomainAdapter:
        adapter = self._sources.load(wanted.adapter.source, wanted.adapter.sha256)
        self._sources.check_models(adapter)
        return adapter


def check_answers(snapshot: DomainSnapshot, backbone: Backbone) -> None:
    """Recommend from the backbone's golden histories; what cannot be done here must not be asked for.

    Raises:
        InvalidArtifactError: if an item has no place in the index, or a user is not given the items there are.
    """
    version, parts = snapshot.adapter.version, snapshot.recommendable()
    if not all(segment.index.finite() for segment, _ in parts):
        raise InvalidArtifactError(f"the adapter {version} makes item vectors that are not finite")
    golden = backbone.bundle.read_tensors(GOLDEN_FILE)
    vectors = cast(npt.NDArray[np.float32], golden["vectors"])
    lengths = cast(npt.NDArray[np.int64], golden["lengths"])
    histories = [row[:length] for row, length in zip(vectors, lengths, strict=True)]
    users = backbone.network.user_vectors(histories)  # float32 [n, width]
    expected = min(_TEST_LIMIT, sum(int(np.count_nonzero(offered)) for _, offered in parts))
    for hits in nearest(snapshot, None, users, [Selection(_TEST_LIMIT)] * len(users)):
        if len(hits) != expected or not all(np.isfinite(hit.score) for hit in hits):
            raise InvalidArtifactError(f"the adapter {version} does not give every item a score that is finite")
