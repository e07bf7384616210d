"""Batches: each works for many requests at once, and each of those gets spans of its wait and of all the work."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, fields
from time import perf_counter
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import structlog
from opentelemetry.trace import SpanContext, Tracer

from service.catalog.snapshot import DomainSnapshot
from service.inference.recommender import Query, Recommender, ScoredItem
from service.recommend.service import DomainSource
from service.tracing.stages import note, worked_for

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _TracedQuery(Query):
    """A query that knows which requests it is asked for, and since when (of ``perf_counter``)."""

    asked_for: tuple[SpanContext, ...] = ()
    asked_at: float = 0.0


class TracedDomains:
    """Domains whose recommender is told for whom it works."""

    def __init__(self, domains: DomainSource) -> None:
        self._domains = domains

    @property
    def recommender(self) -> Recommender:
        """See :class:`service.recommend.service.DomainSource`."""
        return _TracedRecommender(self._domains.recommender)

    def snapshot(self, domain: str) -> DomainSnapshot:
        """See :class:`service.recommend.service.DomainSource`."""
        return self._domains.snapshot(domain)

    async def encode_texts(self, domain: str, texts: Sequence[str]) -> npt.NDArray[np.float16]:
        """See :class:`service.recommend.service.DomainSource`."""
        return await self._domains.encode_texts(domain, texts)


class _TracedRecommender(Recommender):
    """A recommender for one call, whose queries know what they are asked for. It has no queue of its own."""

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender

    @property
    def max_history(self) -> int:
        """See :class:`service.inference.recommender.Recommender`, as for the others."""
        return self._recommender.max_history

    async def recommend(self, snapshot: DomainSnapshot, query: Query, domain: str = "") -> list[ScoredItem]:
        return await self._recommender.recommend(snapshot, _traced(query), domain)

    async def recommend_all(
        self, snapshot: DomainSnapshot, queries: Sequence[Query], domain: str = ""
    ) -> list[list[ScoredItem]]:
        return await self._recommender.recommend_all(snapshot, [_traced(query) for query in queries], domain)


class TracedPool(Executor):
    """A pool in which a batch of queries is worked on for all the requests that asked for them."""

    def __init__(self, pool: Executor, tracer: Tracer) -> None:
        self._pool, self._tracer = pool, tracer

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See :class:`concurrent.futures.Executor`."""
        try:
            requests = self._note_wait(args)
        except Exception:
            log.exception("trace-failed")  # a batch is worth more than its trace
            requests = ()
        if not requests:
            return self._pool.submit(fn, *args, **kwargs)

        def work() -> T:
            token = worked_for.set(requests)
            try:
                return fn(*args, **kwargs)
            finally:
                worked_for.reset(token)

        return self._pool.submit(work)

    def _note_wait(self, args: Sequence[object]) -> tuple[SpanContext, ...]:
        """The requests that a batch of queries is for; how long they have waited is over now."""
        jobs = [job for batch in args if isinstance(batch, list) for job in batch if isinstance(job, tuple)]
        queries = [query for job in jobs for query in job if isinstance(query, _TracedQuery)]
        now = perf_counter()
        for query in queries:
            note(self._tracer, "recommend_wait", now - query.asked_at, query.asked_for, batch_size=len(jobs))
        requests = {request.span_id: request for query in queries for request in query.asked_for}
        return tuple(requests.values())


def _traced(query: Query) -> Query:
    requests = worked_for.get()
    if not requests:
        return query
    values = {field.name: getattr(query, field.name) for field in fields(query)}
    return _TracedQuery(**values, asked_for=requests, asked_at=perf_counter())
