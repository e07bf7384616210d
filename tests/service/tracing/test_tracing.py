"""What a collector is told of the service's requests, and what it is not."""

import asyncio
import socket
import sys
import threading
from pathlib import Path

import pytest

from service.app import create_app
from service.errors import ConfigurationError
from service.metrics import Metrics
from service.settings import load_settings
from service.tracing.switch import Traced, Untraced, tracing
from tests.running_service import RunningService, make_settings, running_service
from tests.service.tracing.collector import Collector, ReceivedSpan, collecting
from tests.tiny_models import TinyStore, write_tiny_store

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
ITEMS = {"hammer": "claw hammer", "saw": "hand saw", "plane": "jack plane"}
BODY = {"history": ["hammer"]}
RECOMMEND = "POST /v1/domains/{domain}/recommendations"


def traceparent(sampled: bool, trace: str = TRACE) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CALLER}-0{int(sampled)}"}


async def work(service: RunningService, tiny: TinyStore) -> None:
    """Some of everything: a swap, items, recommendations plain, direct and in a batch, probes, a fault."""
    await service.until_ready()
    await service.serve(tiny.adapter)
    await service.put_items(ITEMS)
    http, path = service.http, "/v1/domains/shop/recommendations"
    first = {"x-request-id": "my-id", "x-api-key": "a-secret-key", **traceparent(sampled=True)}
    assert (await http.post(path, json=BODY, headers=first)).status_code == 200
    await http.post(path, json=BODY, headers=traceparent(sampled=False, trace="1" * 32))
    await http.post(
        f"{path}:batch", json={"requests": [BODY, {"history": ["saw"]}]}, headers=traceparent(True, "2" * 32)
    )
    together = [http.post(path, json=BODY, headers=traceparent(True, f"{number:032x}")) for number in range(3, 11)]
    await asyncio.gather(*together)
    await http.get("/v1/domains/shop/items/saw?secret=query", headers=traceparent(True, "e" * 32))
    await http.get("/v1/domains/shop/items/none", headers=traceparent(True, "f" * 32))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Collector:
    """What was told of that work, when the service had stopped."""
    folder = tmp_path_factory.mktemp("traced")
    tiny = write_tiny_store(folder / "artifacts")

    async def run(url: str) -> None:
        settings = make_settings(tiny.root, folder / "data", traces_url=url, traces_share=0.0)
        async with running_service(settings) as service:
            await work(service, tiny)

    with collecting() as collector:
        asyncio.run(run(collector.url))
    return collector


def of_trace(told: Collector, trace: str) -> list[ReceivedSpan]:
    return [span for span in told.spans if span.trace_id == trace]


def test_a_request_is_a_span_below_its_callers(told: Collector) -> None:
    (request,) = [span for span in of_trace(told, TRACE) if span.parent == CALLER]
    assert request.name == RECOMMEND
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/domains/{domain}/recommendations",
        "url.path": "/v1/domains/shop/recommendations",
        "vqrec.request_id": "my-id",
    }
    assert not request.is_error


def test_the_stages_of_a_recommendation_are_below_it(told: Collector) -> None:
    (request,) = [span for span in of_trace(told, TRACE) if span.parent == CALLER]
    stages = {span.name: span for span in of_trace(told, TRACE) if span is not request}
    assert stages.keys() == {"recommend_wait", "recommend_batch", "network", "search"}
    for span in stages.values():
        assert span.parent == request.span_id
        assert request.start <= span.start <= span.end <= request.end + 1_000_000
    assert stages["recommend_wait"].end <= stages["network"].end <= stages["search"].end
    assert stages["recommend_wait"].attributes == {"batch_size": 1}


def test_each_request_of_a_batch_has_its_stages(told: Collector) -> None:
    for number in range(3, 11):
        spans = of_trace(told, f"{number:032x}")
        (request,) = [span for span in spans if span.parent == CALLER]
        assert sorted(span.name for span in spans if span.parent == request.span_id) == [
            "network",
            "recommend_batch",
            "recommend_wait",
            "search",
        ]


def test_a_call_of_many_histories_is_one_request(told: Collector) -> None:
    names = [span.name for span in of_trace(told, "2" * 32)]
    assert names.count("POST /v1/domains/{domain}/recommendations:batch") == 1
    assert names.count("network") == names.count("search")
    assert names.count("recommend_wait") == 2


def test_what_redis_was_asked_is_a_stage_of_the_request(told: Collector) -> None:
    found = {span.name for span in of_trace(told, "e" * 32)}
    assert found == {"GET /v1/domains/{domain}/items/{item_id:path}", "redis"}


def test_what_the_caller_does_not_want_traced_is_not(told: Collector) -> None:
    assert of_trace(told, "1" * 32) == []


def test_a_client_fault_is_no_fault_of_the_span(told: Collector) -> None:
    (request,) = [span for span in of_trace(told, "f" * 32) if span.parent == CALLER]
    assert (request.attributes["http.response.status_code"], request.is_error) == (404, False)


def test_a_swap_is_a_trace_of_its_own(told: Collector) -> None:
    (swap,) = told.named("swap")
    assert swap.parent == ""
    assert swap.attributes.keys() == {"vqrec.domain", "vqrec.adapter_version", "vqrec.operation"}
    assert [span.name for span in of_trace(told, swap.trace_id)] == ["swap"]


def test_nothing_is_told_that_the_log_does_not_tell(told: Collector) -> None:
    for secret in (b"a-secret-key", b"claw hammer", b"query", b"b7ad6b7169203331:"):
        assert secret not in told.raw
    assert not {span.name for span in told.spans} & {"GET /readyz", "GET /livez", "GET /metrics"}


def test_who_tells_is_told(told: Collector) -> None:
    assert {resource["service.name"] for resource in told.resources} == {"vqrec"}
    assert len({resource["service.instance.id"] for resource in told.resources}) == 1


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 20)])
async def test_the_share_decides_where_no_caller_does(
    tiny: TinyStore, tmp_path: Path, share: float, expected: int
) -> None:
    with collecting() as collector:
        settings = make_settings(tiny.root, tmp_path / "data", traces_url=collector.url, traces_share=share)
        async with running_service(settings) as service:
            await service.until_ready()
            for _ in range(20):
                await service.http.get("/v1/domains")
    assert len(collector.named("GET /v1/domains")) == expected


async def test_a_collector_that_does_not_answer_harms_nothing(tiny: TinyStore, tmp_path: Path) -> None:
    async def serve(port: int) -> None:
        url = f"http://127.0.0.1:{port}/v1/traces"
        settings = make_settings(tiny.root, tmp_path / str(port), traces_url=url, traces_share=1.0)
        async with running_service(settings) as service:
            await service.until_ready()
            for _ in range(10):
                assert (await service.http.get("/v1/domains")).status_code == 200

    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection, and says nothing
        await asyncio.gather(serve(closed), serve(silent.getsockname()[1]))


async def test_a_failed_swap_is_a_fault(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "artifacts")
    async with running_service(make_settings(tiny.root, tmp_path / "data")) as before:
        await before.serve(tiny.adapter)
    (tiny.adapter.path / "adapter.safetensors").unlink()
    with collecting() as collector:
        async with running_service(make_settings(tiny.root, tmp_path / "data", traces_url=collector.url)) as service:
            await service.until_ready()
    assert {(span.is_error, span.attributes.get("error.type")) for span in collector.named("swap")} == {
        (True, "InvalidArtifactError")
    }


def test_off_it_changes_no_part_of_the_service(tiny: TinyStore, tmp_path: Path) -> None:
    off = tracing(make_settings(tiny.root, tmp_path), "instance")
    assert type(off) is Untraced
    assert type(off.metrics()) is Metrics
    marker = object()
    assert off.pool(marker) is marker  # type: ignore[arg-type]
    assert off.domains(marker) is marker  # type: ignore[arg-type]
    installed = [middleware.cls for middleware in create_app(make_settings(tiny.root, tmp_path)).user_middleware]
    assert "TracedRequests" not in [getattr(cls, "__name__", "") for cls in installed]


def test_nothing_runs_before_the_service_does(tiny: TinyStore, tmp_path: Path) -> None:
    before = threading.enumerate()
    create_app(make_settings(tiny.root, tmp_path, traces_url="http://127.0.0.1:1/v1/traces"))
    assert threading.enumerate() == before


def test_without_the_extra_it_is_said(tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.tracing.export", None)  # as if it could not be imported
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[tracing\]'"):
        create_app(make_settings(tiny.root, tmp_path, traces_url="http://127.0.0.1:1/v1/traces"))


@pytest.mark.parametrize("url", ["ftp://collector", "collector:4318", "http://me:secret@collector/v1/traces"])
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VQREC_TRACES_URL") as refused:
        load_settings(traces_url=url)
    assert "secret" not in refused.value.detail


def test_on_it_wraps_what_it_must(tiny: TinyStore, tmp_path: Path) -> None:
    on = tracing(make_settings(tiny.root, tmp_path, traces_url="http://127.0.0.1:1/v1/traces"), "instance")
    assert isinstance(on, Traced)
