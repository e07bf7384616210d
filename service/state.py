"""What the lifespan makes and every request finds: one typed object, reached through ``service.dependencies``."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypedDict

from service.admin.service import AdminService
from service.catalog.reconciler import Reconciler
from service.catalog.registry import Registry
from service.edge.edge import Edge
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
        scrape: writes what Prometheus reads, and waits for nothing else.
    """

    settings: Settings
    metrics: Metrics
    scrape: Executor
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
