"""What the lifespan makes and every request finds: one typed object, reached through ``service.dependencies``."""

import asyncio
from dataclasses import dataclass
from typing import TypedDict

from service.admin.service import AdminService
from service.catalog.reconciler import Reconciler
from service.catalog.registry import Registry
from service.edge.edge import Edge
from service.health.scrape import Scrape
from service.items.bulk import BulkReader
from service.items.service import ItemService
from service.metrics import Metrics
from service.recommend.service import RecommendService
from service.redis_client import RedisClient
from service.security import Access
from service.settings import Settings
from service.stopping import Stopping


@dataclass(frozen=True)
class AppState:
    """The running service, as its endpoints use it.

    Args:
        reading: held by who has a thread read a large body, one at a time: the other threads are for what waits.
    """

    settings: Settings
    metrics: Metrics
    scrape: Scrape
    reading: asyncio.Semaphore
    access: Access
    redis: RedisClient
    registry: Registry
    reconciler: Reconciler
    recommend: RecommendService
    items: ItemService
    bulks: BulkReader
    admin: AdminService
    stopping: Stopping
    edge: Edge


class LifespanState(TypedDict):
    """What Starlette copies into ``request.state``."""

    app: AppState
