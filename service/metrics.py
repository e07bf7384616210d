"""What Prometheus reads. One registry a process, made with the application and handed to who measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Every metric of the service, by name. Labels never hold an item, a user or a key, but its name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vqrec_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "vqrec_http_request_seconds",
            "Time to answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "vqrec_stage_seconds", "Time in one stage of the work.", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self.batch_size = Histogram(
            "vqrec_batch_size", "Jobs in a batch.", ["queue"], buckets=(1, 2, 4, 8, 16, 32, 64), registry=self.registry
        )
        self.queue_depth = Gauge("vqrec_queue_depth", "Jobs that wait for a batch.", ["queue"], registry=self.registry)
        self.rejected = Counter("vqrec_rejected", "Requests refused unserved.", ["reason"], registry=self.registry)
        self.connections = Gauge("vqrec_connections", "Open connections.", registry=self.registry)
        self.unread_bytes = Gauge("vqrec_unread_bytes", "Of answers that clients do not take.", registry=self.registry)
        self.in_flight = Gauge(
            "vqrec_requests_in_flight", "Requests admitted, not yet answered.", ["lane"], registry=self.registry
        )
        self.key_requests = Counter(
            "vqrec_key_requests", "Requests with a known API key.", ["key", "outcome"], registry=self.registry
        )
        self.key_expires = Gauge(
            "vqrec_key_expires_timestamp_seconds", "When an API key expires.", ["key"], registry=self.registry
        )
        self.catalogue_items = Gauge("vqrec_catalogue_items", "Items served.", ["domain"], registry=self.registry)
        self.changes_applied = Counter(
            "vqrec_changes_applied", "Catalogue changes taken from the stream.", ["domain"], registry=self.registry
        )
        self.threads_died = Counter(
            "vqrec_compute_threads_died", "Threads that computed and were replaced.", ["pool"], registry=self.registry
        )
        self.swaps = Counter("vqrec_swaps", "Adapter swaps.", ["domain", "outcome"], registry=self.registry)
        self.redis_up = Gauge("vqrec_redis_up", "1 while Redis answers.", registry=self.registry)
        self.ready = Gauge("vqrec_ready", "1 while /readyz answers 200.", registry=self.registry)
        self.faults = Gauge("vqrec_faults", "Reasons that /readyz gives.", registry=self.registry)
        ProcessCollector(registry=self.registry)  # process_…: memory, processor time, open files

    def forget_domain(self, domain: str) -> None:
        """Tell no more of a domain that is gone; one made anew under its name counts from 0."""
        for metric in (self.catalogue_items, self.changes_applied, self.swaps):
            metric.remove_by_labels({"domain": domain})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the enclosed block as ``vqrec_stage_seconds{stage=name}``, also when it raises."""
        start = perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(name).observe(perf_counter() - start)
