"""What orchestrators and Prometheus are told."""

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import Metric

from tests.running_service import RunningService

pytestmark = pytest.mark.anyio


async def test_an_empty_service_is_ready(service: RunningService) -> None:
    answer = await service.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "reasons": []})


async def test_metrics_tell_the_stages_of_the_work(shop: RunningService) -> None:
    await shop.recommended(["hammer"])
    answer = await shop.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for stage in ("validate", "encode", "redis", "network", "search"):
        assert f'vqrec_stage_seconds_count{{stage="{stage}"}}' in answer.text
    assert 'vqrec_catalogue_items{domain="shop"} 5.0' in answer.text
    assert 'vqrec_swaps_total{domain="shop",outcome="succeeded"} 1.0' in answer.text
    for line in ("vqrec_redis_up 1.0", "vqrec_ready 1.0", "vqrec_faults 0.0", "process_resident_memory_bytes "):
        assert f"\n{line}" in answer.text


async def test_metrics_forget_a_deleted_domain(shop: RunningService) -> None:
    await shop.http.delete("/v1/admin/domains/shop")
    assert 'vqrec_catalogue_items{domain="shop"}' not in (await shop.http.get("/metrics")).text


async def test_metrics_are_written_by_a_thread_of_their_own(service: RunningService) -> None:
    threads: list[str] = []

    class Noting:
        def collect(self) -> Iterator[Metric]:
            threads.append(threading.current_thread().name)
            yield from ()

    service.state.metrics.registry.register(Noting())
    threads.clear()  # what registers it asks it, too
    assert (await service.http.get("/metrics")).status_code == 200
    assert threads == ["metrics-0"]
