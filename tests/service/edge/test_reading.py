"""What a client can do with HTTP beyond sending a request and reading the answer."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.types import Receive, Scope, Send

from service.edge.admitted import Admitted
from service.metrics import Metrics
from tests.running_service import until
from tests.service.edge.served import PATH, Client, Held, connected, listening, make_edge, served

pytestmark = pytest.mark.anyio

SOON = 0.05
H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA")
WEBSOCKET = ("connection: keep-alive, Upgrade", "Upgrade: websocket", "sec-websocket-version: 13")
CHUNKED = f"POST {PATH} HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def released() -> Held:
    app = Held()
    app.released.set()
    return app


@pytest.mark.parametrize("wish", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(wish: tuple[str, ...]) -> None:
    app = released()
    async with served(app, make_edge()) as port, connected(port) as client:
        for body in (b'{"history": []}', b"", b"GET /livez HTTP/1.1\r\n\r\n"):
            client.ask(PATH, body, "POST", *wish)
            assert (await client.answer())[0] == 200
            assert app.bodies[-1] == body
    assert app.started == 3


async def test_a_wish_for_another_protocol_that_comes_in_pieces() -> None:
    app, lines = released(), [f"POST {PATH} HTTP/1.1", "host: here", *H2C, "content-length: 4", "", "body"]
    async with served(app, make_edge()) as port, connected(port) as client:
        for part in "\r\n".join(lines).encode():
            client.send(bytes([part]))
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 200
    assert app.bodies == [b"body"]


async def test_headers_after_a_body_are_none() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []
    held = released()

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["headers"])
        await held(scope, receive, send)

    async with (
        listening(Admitted(note), SimpleNamespace(edge=make_edge())) as port,
        connected(port) as client,
    ):
        client.send(CHUNKED + b"2\r\n{}\r\n0\r\nx-api-key: a\r\nx-request-id: b\r\n\r\n")
        assert (await client.answer())[0] == 200
        client.ask()
        assert (await client.answer())[0] == 200
    assert seen[0] == [(b"host", b"here"), (b"transfer-encoding", b"chunked")]
    assert held.bodies == [b"{}", b""]


async def test_a_body_in_chunks_of_one_is_read() -> None:
    app = released()
    async with served(app, make_edge()) as port, connected(port) as client:
        client.send(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert (await client.answer())[0] == 200
    assert app.bodies == [b"x" * 100_000]


@pytest.mark.parametrize(
    "endless",
    [b"0\r\n" + b"x: y\r\n" * 200_000, b"0\r\nx: " + b"y" * 1_200_000, b"1;x=" + b"y" * 1_200_000],
    ids=["trailers", "one trailer", "chunk extension"],
)
async def test_what_is_no_body_and_never_ends_is_broken_off(endless: bytes) -> None:
    app = released()
    async with served(app, make_edge()) as port, connected(port) as client:
        client.send(CHUNKED + endless)
        assert (await client.answer())[0] == 400
        assert await client.ended()
    await until(lambda: _is(app.ends, ["disconnected"]))


async def test_so_is_that_of_a_request_that_was_refused() -> None:
    async with served(Held(), make_edge()) as port, connected(port) as busy, connected(port) as client:
        busy.ask()
        client.send(CHUNKED)
        assert (await client.answer())[0] == 429
        client.send(b"0\r\n" + b"x: y\r\n" * 200_000)
        assert (await client.answer())[0] == 400
        assert await client.ended()


async def test_who_is_told_to_go_on_and_never_does() -> None:
    app = Held()
    async with served(app, make_edge(client_seconds=SOON)) as port, connected(port) as client:
        client.send(f"POST {PATH} HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n".encode())
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.answer())[0] == 408
        assert await client.ended()
        await until(lambda: _is(app.ends, ["disconnected"]))


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_an_old_client_is_answered_once(connection: str) -> None:
    async with served(released(), make_edge()) as port, connected(port) as client:
        client.send(f"POST {PATH} HTTP/1.0\r\nconnection: {connection}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        assert (await client.answer())[0] == 200
        assert await client.ended()


async def test_only_so_many_requests_wait_on_one_connection() -> None:
    metrics, app = Metrics(), Held()
    async with served(app, make_edge(metrics, fewest=200, most=200)) as port, connected(port) as client:
        client.send(f"POST {PATH} HTTP/1.1\r\nhost: here\r\n\r\n".encode() * 100)
        await until(lambda: _is(app.started, 1))
        assert _sample(metrics, "vqrec_requests_in_flight", lane="recommend") == 17
        app.released.set()
        assert [(await client.answer())[0] for _ in range(17)] == [200] * 17
        assert await client.ended()
    assert _sample(metrics, "vqrec_rejected_total", reason="pipeline") == 1
    assert _sample(metrics, "vqrec_requests_in_flight", lane="recommend") == 0


async def test_what_follows_a_refused_request_on_its_connection_takes_no_place() -> None:
    metrics, app = Metrics(), Held()
    shop, other = (
        f"POST /v1/domains/{domain}/recommendations HTTP/1.1\r\nhost: x\r\n\r\n" for domain in ("shop", "other")
    )
    async with served(app, make_edge(metrics)) as port, connected(port) as client:
        client.send((shop * 2 + other * 5).encode())
        await until(lambda: _is(app.started, 1))
        assert _sample(metrics, "vqrec_requests_in_flight", lane="recommend") == 1
        app.released.set()
        assert (await client.answer())[0] == 200
        assert await client.ended()
    assert app.started == 1


async def test_names_that_are_made_up_leave_nothing_behind() -> None:
    metrics, app = Metrics(), released()
    edge = make_edge(metrics, fewest=8, most=8)
    async with served(app, edge) as port, connected(port) as client:
        await _ask_made_up(client, 0)
        before = len(list(_samples(metrics))), len(edge._counters)
        for number in range(1, 300):
            await _ask_made_up(client, number)
        assert (len(list(_samples(metrics))), len(edge._counters)) == before
    assert all(not lane._held for lane, _ in edge._lanes.values())


async def _ask_made_up(client: Client, number: int) -> None:
    client.ask(f"/v1/domains/made-up-{number}/recommendations", b"", "POST", "x-request-timeout-ms: 600000")
    assert (await client.answer())[0] == 200


def _samples(metrics: Metrics) -> list[str]:
    return [str(sample.labels) for metric in metrics.registry.collect() for sample in metric.samples]


def _sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def _is(found: object, expected: object) -> bool:
    return found == expected
