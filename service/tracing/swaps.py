"""Swaps and compactions: each is a trace of its own, since it outlives the request that asked for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import StatusCode, Tracer

from service.catalog.builder import ReplicaBuilder
from service.catalog.directory import WantedDomain
from service.catalog.replica import DomainReplica, ReplicaContext
from service.catalog.sources import AdapterSources
from service.inference.runtime import RuntimeProvider


class TracedBuilder(ReplicaBuilder):
    """A builder that makes a span of what it builds."""

    def __init__(
        self, sources: AdapterSources, runtimes: RuntimeProvider, context: ReplicaContext, tracer: Tracer
    ) -> None:
        super().__init__(sources, runtimes, context)
        self._tracer = tracer

    async def build(
        self, wanted: WantedDomain, previous: DomainReplica | None, on_progress: Callable[[float], None]
    ) -> DomainReplica:
        """See :class:`service.catalog.builder.ReplicaBuilder`."""
        with self._span("swap", wanted):
            return await super().build(wanted, previous, on_progress)

    async def compact(self, previous: DomainReplica) -> DomainReplica:
        """See :class:`service.catalog.builder.ReplicaBuilder`."""
        with self._span("compact", previous.wanted):
            return await super().compact(previous)

    @contextmanager
    def _span(self, name: str, wanted: WantedDomain) -> Iterator[None]:
        span = self._tracer.start_span(name, Context())
        span.set_attribute("vqrec.domain", wanted.domain)
        span.set_attribute("vqrec.adapter_version", wanted.adapter.version)
        span.set_attribute("vqrec.operation", wanted.operation)
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()
