"""Three ways to a replica: from Redis, from one with another adapter, from one whose fresh segment grew large.

Each takes a catalogue as of some place in the change stream and follows from there, so nothing that changes while it is
being built is lost and the replica before it is never touched.
"""

import asyncio
from collections.abc import Callable

from models.adapter import DomainAdapter
from service.catalog.directory import WantedDomain
from service.catalog.loader import CatalogueLoader
from service.catalog.replica import DomainReplica, ReplicaContext
from service.catalog.snapshot import DomainSnapshot
from service.catalog.stream import ChangeStream


async def load_replica(
    wanted: WantedDomain, adapter: DomainAdapter, context: ReplicaContext, on_progress: Callable[[float], None]
) -> DomainReplica:
    """Read the catalogue from Redis, quantising again what has no code under the adapter's quantiser."""
    position = await ChangeStream(context.redis, wanted.domain).end()
    loader = CatalogueLoader(context.repository(wanted.domain), adapter, context.build)
    items = await loader.load_all(on_progress)
    loop = asyncio.get_running_loop()
    snapshot = await loop.run_in_executor(context.build, DomainSnapshot.build, adapter, list(items.values()))
    return DomainReplica(wanted, snapshot, position, context)


async def derive_replica(
    wanted: WantedDomain, adapter: DomainAdapter, previous: DomainReplica, context: ReplicaContext
) -> DomainReplica:
    """Take the codes of a replica whose adapter has the same quantiser."""
    snapshot, position = previous.snapshot, previous.position
    loop = asyncio.get_running_loop()
    derived = await loop.run_in_executor(context.build, lambda: DomainSnapshot.build(adapter, snapshot.items()))
    return DomainReplica(wanted, derived, position, context)


async def compact_replica(previous: DomainReplica, context: ReplicaContext) -> DomainReplica:
    """Fold the fresh segment into the large one."""
    snapshot, position = previous.snapshot, previous.position
    loop = asyncio.get_running_loop()
    compacted = await loop.run_in_executor(context.build, snapshot.compacted)
    return DomainReplica(previous.wanted, compacted, position, context)
