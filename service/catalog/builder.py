"""From a wanted adapter to a replica that is fit to serve: read, verified, built, tested, and up to date."""

import asyncio
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.backbone import GOLDEN_FILE
from models.errors import InvalidArtifactError
from service.catalog.building import derive_replica, load_replica
from service.catalog.directory import WantedDomain
from service.catalog.replica import DomainReplica, ReplicaContext
from service.catalog.sources import AdapterSources
from service.inference.runtime import InferenceRuntime, RuntimeProvider
from service.inference.search import Selection, nearest

_TEST_LIMIT = 10


class ReplicaBuilder:
    """Builds replicas in the background, beside those that serve."""

    def __init__(self, sources: AdapterSources, runtimes: RuntimeProvider, context: ReplicaContext) -> None:
        self._sources, self._runtimes, self._context = sources, runtimes, context

    async def build(
        self, wanted: WantedDomain, previous: DomainReplica | None, on_progress: Callable[[float], None]
    ) -> DomainReplica:
        """A replica of the wanted adapter, following the stream and at least as far in it as ``previous``.

        Raises:
            VqrecError: if the adapter cannot be read, is not what it should be, or fails its test.
        """
        on_progress(0.0)
        adapter = await asyncio.to_thread(self._read, wanted)
        runtime = await self._runtimes.provide(adapter.bundle.manifest.backbone)
        if previous is not None and previous.adapter.quantizer.sha256 == adapter.quantizer.sha256:
            replica = await derive_replica(wanted, adapter, previous, self._context)
        else:
            replica = await load_replica(wanted, adapter, self._context, on_progress)
        await asyncio.to_thread(_test, replica, runtime)
        return await self.follow(replica, previous)

    async def follow(self, replica: DomainReplica, previous: DomainReplica | None) -> DomainReplica:
        """Start a replica and wait until it has seen all that ``previous`` serves."""
        replica.start()
        try:
            while previous is not None and replica.position < previous.position:
                await replica.reached(previous.position)
        except asyncio.CancelledError:
            await replica.stop()
            raise
        return replica

    def _read(self, wanted: WantedDomain) -> DomainAdapter:
        adapter = self._sources.load(wanted.adapter.source, wanted.adapter.sha256)
        self._sources.check_models(adapter)
        return adapter


def _test(replica: DomainReplica, runtime: InferenceRuntime) -> None:
    """Recommend from the backbone's golden histories; what a replica cannot do here it must not be asked for."""
    golden = runtime.backbone.bundle.read_tensors(GOLDEN_FILE)
    vectors = cast(npt.NDArray[np.float32], golden["vectors"])
    lengths = cast(npt.NDArray[np.int64], golden["lengths"])
    histories = [row[:length] for row, length in zip(vectors, lengths, strict=True)]
    users = runtime.backbone.network.user_vectors(histories)  # float32 [n, width]
    hits = nearest(replica.snapshot, None, users, [Selection(_TEST_LIMIT)] * len(users))
    if not all(np.isfinite(hit.score) for found in hits for hit in found):
        raise InvalidArtifactError(f"the adapter {replica.adapter.version} gives scores that are not finite")
