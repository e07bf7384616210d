"""Three ways to a snapshot: from Redis, from one with another adapter, from one whose fresh segment grew large.

Each takes a catalogue as of some place in the change stream and a replica follows from there, so nothing that changes
while it is being built is lost, and what is served meanwhile is never touched.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from models.adapter import DomainAdapter
from models.user_network import UserNetwork
from service.catalog.calibration import likely_users
from service.catalog.columns import Columns
from service.catalog.loader import CatalogueLoader
from service.catalog.replica import DomainReplica, ReplicaContext
from service.catalog.segment import UserVectors
from service.catalog.snapshot import DomainSnapshot
from service.catalog.stream import ChangeStream, StreamId
from service.inference.index.choice import IndexConfig

_USERS = 256  # half of them for the partition, half to tune it to
_SEED = 0


class Built(NamedTuple):
    """A snapshot and the last change that it has surely seen."""

    snapshot: DomainSnapshot
    position: StreamId


class Models(NamedTuple):
    """What makes vectors of items, and users of histories."""

    adapter: DomainAdapter
    network: UserNetwork


async def load(domain: str, models: Models, context: ReplicaContext, on_progress: Callable[[float], None]) -> Built:
    """Read the catalogue from Redis, quantising again what has no code under the adapter's quantiser.

    Raises:
        RedisUnavailableError: also if Redis was emptied or replaced meanwhile.
    """
    store_changes = context.mark.changes
    position = await ChangeStream(context.redis, domain).end()
    loader = CatalogueLoader(context.repository(domain), models.adapter, context.build)
    columns = await loader.load_all(on_progress)
    await context.mark.check(store_changes)
    loop = asyncio.get_running_loop()
    return Built(await loop.run_in_executor(context.build, _build, models, columns, context.index), position)


async def derive(models: Models, previous: DomainReplica, context: ReplicaContext) -> Built:
    """Take all but the vectors of a replica whose adapter has the same quantiser."""
    snapshot, position = previous.snapshot, previous.position
    loop = asyncio.get_running_loop()
    return Built(await loop.run_in_executor(context.build, _derive, models, snapshot), position)


async def compact(previous: DomainReplica, context: ReplicaContext) -> Built:
    """Fold the fresh segment into the large one."""
    snapshot, position = previous.snapshot, previous.position
    loop = asyncio.get_running_loop()
    return Built(await loop.run_in_executor(context.build, snapshot.compacted), position)


def _build(models: Models, columns: Columns, config: IndexConfig) -> DomainSnapshot:
    return DomainSnapshot.build(models.adapter, columns, config, _users(models, columns))


def _derive(models: Models, snapshot: DomainSnapshot) -> DomainSnapshot:
    return snapshot.under(models.adapter).calibrated(_users(models, snapshot.large.columns))


def _users(models: Models, columns: Columns) -> UserVectors:
    return likely_users(*models, columns, _USERS, _SEED)
