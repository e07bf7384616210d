"""The stages of a request: what is measured as ``vqrec_stage_seconds`` becomes a span of whom it was done for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter, time_ns

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, Tracer, set_span_in_context

from service.metrics import Metrics

worked_for: ContextVar[tuple[SpanContext, ...]] = ContextVar("worked_for", default=())
"""The spans of the traced requests that the present work is done for; a batch is done for many."""


class TracedMetrics(Metrics):
    """Metrics whose stages are also spans."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See :class:`service.metrics.Metrics`."""
        start = perf_counter()
        try:
            with super().stage(name):
                yield
        finally:
            note(self._tracer, name, perf_counter() - start, worked_for.get())


def note(tracer: Tracer, name: str, seconds: float, requests: Sequence[SpanContext], **attributes: int) -> None:
    """Make a span of work that has just ended, below each of these."""
    end = time_ns()
    for request in requests:
        parent = set_span_in_context(NonRecordingSpan(request), Context())
        span = tracer.start_span(name, parent, start_time=end - int(seconds * 1e9), attributes=attributes)
        span.end(end)
