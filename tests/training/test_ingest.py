"""Sending a catalogue to a service: to a real one, and to one that answers as real ones do on a bad day."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import write_tiny_store
from training.dataset import Items
from training.errors import DataError, ServiceError
from training.ingest import IngestTarget, ingest
from training.local_service import checked, local_service, serve_adapter

Answer = tuple[int, dict[str, Any]]


def items(count: int) -> Items:
    ids = tuple(f"i{number:04d}" for number in range(count))
    return Items(ids, [f"text {number}" for number in range(count)], [{"price": 1.5, "tags": ["a"]}] * count)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def all_created(chunk: list[dict[str, Any]]) -> Answer:
    return 200, {"results": [{"item_id": item["item_id"], "status": "created"} for item in chunk]}


@contextmanager
def answering(*answers: Callable[[list[dict[str, Any]]], Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives these answers in turn, the last one for ever; its URL and the requests that it got."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = answers[min(len(requests), len(answers) - 1)]
            requests.append({"path": self.path, "key": self.headers["X-API-Key"], "items": body})
            status, document = answer(body)
            payload = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def busy(status: int) -> Callable[[object], Answer]:
    return lambda _: (status, {"detail": "come back later"})


def test_a_real_service_takes_all_items_once(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "artifacts")
    with local_service(tiny.root, tmp_path / "data", free_port()) as client:
        serve_adapter(client, "shop", tiny.adapter.path)
        target = IngestTarget(str(client.base_url), "shop")
        assert ingest(items(300), target) == {"created": 300}
        assert ingest(items(301), target) == {"unchanged": 300, "created": 1}
        assert checked(client.get("/v1/domains/shop/items/i0299"))["attributes"] == {"price": 1.5, "tags": ["a"]}
        with pytest.raises(ServiceError, match="404"):
            ingest(items(1), IngestTarget(str(client.base_url), "another"))


def test_every_item_goes_in_chunks_with_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(all_created) as (url, requests):
        assert ingest(items(600), IngestTarget(url, "shop", api_key="secret")) == {"created": 600}
    sent = [item for request in requests for item in request["items"]]
    assert sorted(sent, key=lambda item: str(item["item_id"])) == [
        {"item_id": f"i{number:04d}", "text": f"text {number}", "attributes": {"price": 1.5, "tags": ["a"]}}
        for number in range(600)
    ]
    assert {(request["path"], request["key"]) for request in requests} == {("/v1/domains/shop/items:bulk", "secret")}
    assert len(requests) > 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "secret" not in captured.err


def test_a_call_does_not_wait_for_the_one_before() -> None:
    both = threading.Barrier(2)

    def created_together(chunk: list[dict[str, Any]]) -> Answer:
        both.wait(timeout=60)
        return all_created(chunk)

    with answering(created_together) as (url, _):
        assert ingest(items(512), IngestTarget(url, "shop")) == {"created": 512}


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_is_busy_for_a_while_is_asked_again(status: int) -> None:
    with answering(busy(status), busy(status), all_created) as (url, requests):
        assert ingest(items(10), IngestTarget(url, "shop")) == {"created": 10}
    assert len(requests) == 3


def test_a_service_that_stays_busy_is_given_up() -> None:
    with answering(busy(503)) as (url, requests), pytest.raises(ServiceError):
        ingest(items(10), IngestTarget(url, "shop"))
    assert 1 < len(requests) < 20


@pytest.mark.parametrize("status", [401, 404, 413, 500])
def test_a_refusal_is_told_and_not_repeated(status: int) -> None:
    with (
        answering(busy(status)) as (url, requests),
        pytest.raises(ServiceError, match=f"answered {status}: come back later"),
    ):
        ingest(items(10), IngestTarget(url, "shop"))
    assert len(requests) == 1


def test_items_that_are_invalid_are_counted_and_the_first_ones_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse_some(chunk: list[dict[str, Any]]) -> Answer:
        results = [{"item_id": item["item_id"], "status": "created"} for item in chunk]
        return 200, {
            "results": [*results[:-9], *({**one, "status": "invalid", "error": "bad"} for one in results[-9:])]
        }

    with answering(refuse_some) as (url, _):
        assert ingest(items(20), IngestTarget(url, "shop")) == {"created": 11, "invalid": 9}
    assert capsys.readouterr().err.count("invalid item 'i00") == 5


def test_a_service_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(ServiceError, match=r"does not answer .*: does `vqrec serve` run there\?"):
        ingest(items(1), IngestTarget(f"http://127.0.0.1:{free_port()}", "shop"))


@pytest.mark.parametrize("url", ["localhost:8000", "127.0.0.1:8000", "ftp://shop", "http://", "", "/v1", "http://a:b"])
def test_a_url_of_no_service_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ServiceError, match="is no URL"):
        IngestTarget(url, "shop")


def test_nothing_to_send_is_refused() -> None:
    with pytest.raises(DataError):
        ingest(items(0), IngestTarget("http://127.0.0.1:9", "shop"))
