"""What surrounds every request."""

import pytest
import structlog
from httpx import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from service.metrics import Metrics
from service.middleware import RequestContext
from tests.running_service import RunningService

pytestmark = pytest.mark.anyio


async def test_a_sane_request_id_is_kept(service: RunningService) -> None:
    answer = await service.http.get("/livez", headers={"x-request-id": "from-the.Proxy_1"})
    assert answer.headers["x-request-id"] == "from-the.Proxy_1"


@pytest.mark.parametrize("given", ["", "a" * 65, "with space", "new\tline", '"quoted"'])
async def test_any_other_is_replaced(service: RunningService, given: str) -> None:
    answer = await service.http.get("/livez", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] not in ("", given)


async def test_requests_are_counted_by_the_template_of_their_route(service: RunningService) -> None:
    for path in ("/v1/domains/one", "/v1/domains/two", "/made/up/path"):
        await service.http.get(path)
    metrics = (await service.http.get("/metrics")).text
    assert 'vqrec_http_requests_total{method="GET",route="/v1/domains/{domain}",status="404"} 2.0' in metrics
    assert "made/up" not in metrics


async def test_each_request_is_one_log_line_without_body_and_key(service: RunningService) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await service.http.post(
            "/v1/domains/shop/recommendations",
            json={"history": ["private-item"]},
            headers={"x-api-key": "private-key", "x-request-id": "request-1"},
        )
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 1
    assert (requests[0]["status"], requests[0]["request_id"]) == (404, "request-1")
    assert "private" not in str(lines)


async def test_what_nobody_foresaw_is_a_problem_without_details() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret of the inside")

    transport = ASGITransport(RequestContext(broken, Metrics()))
    async with AsyncClient(transport=transport, base_url="http://service") as http:
        answer = await http.get("/x")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
