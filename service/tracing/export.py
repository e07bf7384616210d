"""Spans on their way to a collector, sent by a thread of their own. Needs the extra ``tracing``."""

from importlib.metadata import version
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

_QUEUE = 4096  # spans that wait; where there are more the oldest are lost
_BATCH = 512
_MILLISECONDS = 2000  # after which a batch is sent that is not full
_TIMEOUT_SECONDS = 5.0  # for one batch, with all its tries
_STOP_SECONDS = 2.0


class Export:
    """The tracers of a process; what they trace is dropped until :meth:`start`.

    Args:
        url: of a collector that takes OTLP over HTTP.
        share: of the requests whose caller decided nothing, that are traced.
        instance: tells this process from others.
    """

    def __init__(self, url: str, share: float, instance: str) -> None:
        self._url = url
        resource = Resource.create(
            {"service.name": "vqrec", "service.version": version("vqrec"), "service.instance.id": instance}
        )
        samplers = (ParentBased(TraceIdRatioBased(share)), ALWAYS_ON)
        self._providers = [TracerProvider(sampler, resource, shutdown_on_exit=False) for sampler in samplers]
        self._processor: BatchSpanProcessor | None = None

    @property
    def sampled(self) -> Tracer:
        """Traces its share, and what callers say."""
        return self._providers[0].get_tracer("vqrec", version("vqrec"))

    @property
    def unsampled(self) -> Tracer:
        """Traces everything."""
        return self._providers[1].get_tracer("vqrec", version("vqrec"))

    def start(self) -> None:
        """Start the thread that sends."""
        exporter = OTLPSpanExporter(endpoint=self._url, timeout=_TIMEOUT_SECONDS)
        self._processor = BatchSpanProcessor(
            exporter, max_queue_size=_QUEUE, max_export_batch_size=_BATCH, schedule_delay_millis=_MILLISECONDS
        )
        for provider in self._providers:
            provider.add_span_processor(self._processor)

    def stop(self) -> None:
        """Send what is left, for a few seconds at most, and end the thread. It blocks."""
        if self._processor is None:
            return
        # It would wait half a minute for a collector that does not answer.
        closing = Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(_STOP_SECONDS)
