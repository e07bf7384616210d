"""The composition root: builds the service out of its parts, runs them for as long as the application lives."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from time import perf_counter, time

import structlog
from fastapi import APIRouter, FastAPI

from models.cpu import available_cpus
from models.store import ArtifactStore
from service.admin.endpoints import router as admin_router
from service.admin.operations import Operations
from service.admin.service import AdminService
from service.blocking_threads import start_blocking_threads
from service.catalog.directory import DomainDirectory
from service.catalog.memory import tune_allocator
from service.catalog.reconciler import Reconciler
from service.catalog.registry import Registry
from service.catalog.replica import ReplicaContext
from service.catalog.sources import AdapterSources
from service.domains.endpoints import router as domains_router
from service.edge.admitted import Admitted
from service.edge.edge import Edge, EdgeConfig
from service.health.endpoints import router as health_router
from service.health.scrape import Scrape
from service.inference.batcher import BatcherConfig
from service.inference.compute_threads import ComputeThreads
from service.inference.index.choice import IndexConfig
from service.inference.index.warm_up import warm_up_kernels
from service.inference.runtime import RuntimeConfig, RuntimeProvider, find_backbone
from service.inference.text_encoding import EncodingConfig
from service.items.bulk import BulkReader
from service.items.endpoints import router as items_router
from service.items.service import ItemService
from service.json_route import MAX_JSON_BYTES
from service.metrics import Metrics
from service.middleware import API_PREFIX, BodyLimit, ReadablePath, RequestContext
from service.openapi import DocumentedApp
from service.problems import install_problem_handlers
from service.recommend.direct import DirectRecommendations
from service.recommend.endpoints import recommend_route
from service.recommend.endpoints import router as recommend_router
from service.recommend.service import RecommendService
from service.redis_client import RedisClient
from service.redis_durability import saying_once
from service.redis_server import RedisServerConfig, embedded_redis
from service.security import Access
from service.security.watch import watching
from service.settings import Settings, threads
from service.state import AppState, LifespanState
from service.stopping import Stopping
from service.tracing.switch import Untraced, tracing

log = structlog.get_logger(__name__)

_WAITING_THREADS = 4  # that fetch adapters or read files while as many as there are processors compute


def create_app(settings: Settings, stopping: Stopping | None = None) -> FastAPI:
    """The application; nothing runs before its lifespan does.

    Args:
        settings: all of them.
        stopping: what tells it that its server was told to stop.

    Raises:
        ConfigurationError: if the API keys cannot be read.
    """
    traces = tracing(settings, instance=uuid.uuid4().hex)
    metrics = traces.metrics()
    access = Access(settings.load_api_keys(), settings.default_rate(), metrics, now=time, clock=perf_counter)
    app = DocumentedApp(
        asks_for_keys=access.asks_for_keys,
        title="vqrec",
        version=version("vqrec"),
        lifespan=partial(
            _lifespan,
            settings=settings,
            metrics=metrics,
            access=access,
            stopping=stopping or Stopping(),
            traces=traces,
        ),
        redirect_slashes=False,  # a redirect would be built from the Host header, which anyone can forge
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it has its own; this one would cost each call
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(ReadablePath)
    largest = min(settings.max_body_bytes, MAX_JSON_BYTES)
    app.add_middleware(DirectRecommendations, route=recommend_route(), max_bytes=largest)
    traces.install(app)
    app.add_middleware(RequestContext, metrics=metrics)
    app.add_middleware(Admitted)  # added last, so outermost
    install_problem_handlers(app)
    app.include_router(health_router)
    v1 = APIRouter(prefix=API_PREFIX)
    # Similar items before items, whose ids may hold slashes and so would take in `/similar`.
    for router in (recommend_router, items_router, domains_router, admin_router):
        v1.include_router(router)
    app.include_router(v1)
    return app


@asynccontextmanager
async def _lifespan(
    _: FastAPI, settings: Settings, metrics: Metrics, access: Access, stopping: Stopping, traces: Untraced
) -> AsyncIterator[LifespanState]:
    tune_allocator(available_cpus())
    start_blocking_threads(available_cpus() + _WAITING_THREADS)
    # Left in the reverse order: what was accepted is answered, then followers stop, then Redis, then its server.
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(traces.running())
        await stack.enter_async_context(watching(settings.key_sources(), access))
        sources = await asyncio.to_thread(_adapter_sources, settings)  # first, since what is wrong with it is a setting
        redis = await _connect_redis(stack, settings, metrics)
        await stack.enter_async_context(saying_once(redis))
        apply, build, scrape, recommend = (
            stack.enter_context(ComputeThreads(workers, name, metrics))
            for name, workers in (
                ("apply", 1),
                ("build", 1),
                ("metrics", 1),
                ("recommend", threads(settings.network_threads)),
            )
        )
        context = ReplicaContext(redis, metrics, apply, build, settings.stream_length, _index_config(settings))
        await _warm_up()
        await asyncio.to_thread(sources.sweep)
        runtimes = RuntimeProvider(sources.store, traces.pool(recommend), metrics, _runtime_config(settings))
        if sources.backbone is not None:
            await runtimes.provide(sources.backbone)
        registry, directory = Registry(runtimes, metrics), DomainDirectory(redis, context.mark)
        operations = Operations(redis, directory, registry, new_id=lambda: uuid.uuid4().hex)
        builder = traces.builder(sources, runtimes, context)
        reconciler = Reconciler(directory, registry, builder, context, operations)
        reconciler.start()
        stack.push_async_callback(reconciler.stop)
        stack.push_async_callback(runtimes.stop)
        yield LifespanState(
            app=AppState(
                settings=settings,
                metrics=metrics,
                scrape=Scrape(metrics.registry, scrape),
                reading=asyncio.Semaphore(1),
                access=access,
                redis=redis,
                registry=registry,
                reconciler=reconciler,
                recommend=RecommendService(traces.domains(registry)),
                items=ItemService(registry, context, settings.apply_timeout_seconds),
                bulks=BulkReader(settings.max_bulk_items),
                admin=AdminService(directory, sources, operations, registry, reconciler),
                stopping=stopping,
                edge=Edge(
                    _edge_config(settings),
                    lambda domain: registry.get(domain) is not None,
                    access,
                    metrics,
                    perf_counter,
                ),
            )
        )


async def _warm_up() -> None:
    log.info("compiling-kernels")  # the first time, or where nothing can be kept, this takes a while
    start = perf_counter()
    await asyncio.to_thread(warm_up_kernels)
    log.info("kernels-compiled", seconds=round(perf_counter() - start, 1))


async def _connect_redis(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> RedisClient:
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
    else:
        url = await stack.enter_async_context(embedded_redis(_server_config(settings)))
    redis = RedisClient(url, settings.redis_timeout_seconds, settings.redis_connections, metrics)
    stack.push_async_callback(redis.close)
    return redis


def _adapter_sources(settings: Settings) -> AdapterSources:
    store = ArtifactStore(settings.artifacts)
    return AdapterSources(
        store,
        cache=settings.data_dir / "adapters",
        url_prefixes=settings.adapter_url_prefixes,
        download_bytes=settings.adapter_download_bytes,
        download_seconds=settings.adapter_download_seconds,
        backbone=find_backbone(store, settings.backbone) if settings.backbone else None,
    )


def _server_config(settings: Settings) -> RedisServerConfig:
    return RedisServerConfig(settings.data_dir / "redis", settings.redis_fsync, settings.redis_start_seconds)


def _index_config(settings: Settings) -> IndexConfig:
    return IndexConfig(settings.index, settings.index_memory_bytes, threads(settings.index_threads))


def _edge_config(settings: Settings) -> EdgeConfig:
    return EdgeConfig(
        longest_wait=settings.queue_milliseconds / 1000,
        fewest=max(1, settings.batch_size // 2),
        most=settings.queue_size,
        connections=settings.connections,
        body_bytes=settings.body_memory_bytes,
        largest_body=settings.max_body_bytes,
        client_seconds=settings.client_seconds,
        idle_seconds=settings.idle_seconds,
    )


def _runtime_config(settings: Settings) -> RuntimeConfig:
    workers = threads(settings.network_threads)
    network = BatcherConfig(settings.batch_size, settings.batch_wait_milliseconds / 1000, settings.queue_size, workers)
    text = EncodingConfig(threads(settings.text_threads), settings.text_batch_size, settings.text_queue_size)
    return RuntimeConfig(network, text)
