"""Traces on or off: what the composition root builds the service with."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service.catalog.builder import ReplicaBuilder
from service.catalog.replica import ReplicaContext
from service.catalog.sources import AdapterSources
from service.errors import ConfigurationError
from service.inference.runtime import RuntimeProvider
from service.metrics import Metrics
from service.recommend.service import DomainSource
from service.settings import Settings
from service.tracing.batches import TracedDomains, TracedPool
from service.tracing.requests import TracedRequests
from service.tracing.stages import TracedMetrics
from service.tracing.swaps import TracedBuilder

if TYPE_CHECKING:
    from service.tracing.export import Export


class Untraced:
    """Leaves every part of the service as it is."""

    def metrics(self) -> Metrics:
        return Metrics()

    def pool(self, pool: Executor) -> Executor:
        return pool

    def domains(self, domains: DomainSource) -> DomainSource:
        return domains

    def builder(self, sources: AdapterSources, runtimes: RuntimeProvider, context: ReplicaContext) -> ReplicaBuilder:
        return ReplicaBuilder(sources, runtimes, context)

    def install(self, app: FastAPI) -> None:
        """Add what must see every request; inside of what gives it its id."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What must run for as long as the service does."""
        yield


class Traced(Untraced):
    """Lays traces around the parts of the service."""

    def __init__(self, export: "Export") -> None:
        self._export = export

    def metrics(self) -> Metrics:
        return TracedMetrics(self._export.sampled)

    def pool(self, pool: Executor) -> Executor:
        return TracedPool(pool, self._export.sampled)

    def domains(self, domains: DomainSource) -> DomainSource:
        return TracedDomains(domains)

    def builder(self, sources: AdapterSources, runtimes: RuntimeProvider, context: ReplicaContext) -> ReplicaBuilder:
        return TracedBuilder(sources, runtimes, context, self._export.unsampled)

    def install(self, app: FastAPI) -> None:
        app.add_middleware(TracedRequests, tracer=self._export.sampled)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._export.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._export.stop)


def tracing(settings: Settings, instance: str) -> Untraced:
    """What the settings ask for; nothing is sent before it is running.

    Args:
        settings: all of them.
        instance: tells this process from others.

    Raises:
        ConfigurationError: if traces are asked for and the extra `tracing` is not installed.
    """
    if settings.traces_url is None:
        return Untraced()
    try:
        module = import_module("service.tracing.export")
    except ImportError as error:
        raise ConfigurationError(
            "VQREC_TRACES_URL is set, which needs the extra `tracing`: "
            f"pip install '.[tracing]' in a checkout of vqrec ({error})"
        ) from error
    export: Export = module.Export(str(settings.traces_url), settings.traces_share, instance)
    return Traced(export)
