"""Who takes too long, sends too much or says nothing is cut off; everybody else goes on."""

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from service.edge.edge import Edge
from service.metrics import Metrics
from tests.running_service import until
from tests.service.edge.served import PATH, Held, connected, make_edge, served

pytestmark = pytest.mark.anyio

SOON = 0.05
BULK = "/v1/domains/shop/items:bulk"
HEAD = f"POST {BULK} HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n"


def rejected(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("vqrec_rejected_total", {"reason": reason})


async def nobody_is_left(edge: Edge) -> None:
    async def empty() -> bool:
        return len(edge.connections) == 0

    await until(empty)


@pytest.mark.parametrize("sent", [b"P", f"POST {PATH} HTTP/1.1\r\nhost: he".encode()])
async def test_a_head_that_never_ends(sent: bytes) -> None:
    metrics, app = Metrics(), Held()
    async with served(app, make_edge(metrics, client_seconds=SOON)) as port, connected(port) as client:
        client.send(sent)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert await client.ended()
    assert app.started == 0
    assert rejected(metrics, "slow_client") == 1


async def test_a_body_that_never_ends_is_not_taken_for_all_of_it() -> None:
    app = Held()
    async with served(app, make_edge(client_seconds=SOON)) as port, connected(port) as client:
        client.send((HEAD % 100).encode() + b'{"item_id": "a"}\n')
        assert (await client.answer())[0] == 408
        assert await client.ended()
        await until(lambda: _has_ended(app))
    assert app.ends == ["disconnected"]
    assert app.bodies == []


async def _has_ended(app: Held) -> bool:
    return bool(app.ends)


async def test_a_request_that_was_refused_must_be_sent_to_its_end_in_time_too() -> None:
    app, edge = Held(), make_edge(client_seconds=SOON)
    async with served(app, edge) as port, connected(port) as busy, connected(port) as client:
        busy.ask()
        client.send(f"POST {PATH} HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n".encode())
        await until(lambda: _started(app))
        assert (await client.answer())[0] == 429
        assert (await client.answer())[0] == 408
        assert await client.ended()


async def _started(app: Held) -> bool:
    return app.started == 1


async def test_an_answer_that_is_not_taken() -> None:
    metrics, app = Metrics(), Held(answer=bytes(8 << 20))
    app.released.set()
    edge = make_edge(metrics, client_seconds=SOON)
    async with served(app, edge) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET {BULK} HTTP/1.1\r\nhost: here\r\n\r\n".encode())

            async def cut_off() -> bool:
                return rejected(metrics, "slow_client") == 1 and len(edge.connections) == 0

            await until(cut_off)


async def test_an_answer_that_is_taken_in_time() -> None:
    app = Held(answer=bytes(8 << 20))
    app.released.set()
    async with served(app, make_edge()) as port, connected(port) as client:
        for _ in range(2):
            client.ask(BULK)
            assert len((await client.answer())[2]) == 8 << 20


async def test_a_connection_without_requests() -> None:
    app, edge = Held(), make_edge(idle_seconds=SOON)
    app.released.set()
    async with served(app, edge) as port, connected(port) as silent, connected(port) as served_once:
        served_once.ask()
        assert (await served_once.answer())[0] == 200
        assert await silent.ended()
        assert await served_once.ended()
        await nobody_is_left(edge)


async def test_a_request_that_is_worked_at_is_not_idle() -> None:
    app, edge = Held(), make_edge(idle_seconds=SOON, client_seconds=SOON)
    async with served(app, edge) as port, connected(port) as waiting, connected(port) as silent:
        waiting.ask()
        assert await silent.ended()
        app.released.set()
        assert (await waiting.answer())[0] == 200


async def test_who_sends_more_before_it_has_its_answer_is_not_slow_while_nothing_is_read_of_it() -> None:
    app, edge = Held(), make_edge(client_seconds=SOON, fewest=8, most=8)
    async with served(app, edge) as port, connected(port) as client, connected(port) as slow:
        client.ask()
        await until(lambda: _started(app))
        client.send(f"POST {PATH} HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{{".encode())
        for _ in range(3):
            slow.send(b"P")
            assert (await slow.answer())[0] == 408
            slow.reader, slow.writer = await asyncio.open_connection("127.0.0.1", port)
        app.released.set()
        client.send(b"}")
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]


async def test_a_head_of_too_many_bytes() -> None:
    app = Held()
    async with served(app, make_edge()) as port, connected(port) as client:
        client.send(f"GET {PATH} HTTP/1.1\r\nx: ".encode())
        for _ in range(40):
            client.send(b"x" * 16_384)
            await client.writer.drain()
        assert (await client.answer())[0] == 431
        assert await client.ended()
    assert app.started == 0


async def test_connections_beyond_the_limit_may_ask_after_health_alone_and_more_are_closed() -> None:
    app, edge = Held(), make_edge(connections=1)
    app.released.set()
    async with served(app, edge) as port, connected(port) as served_one, connected(port) as surplus:
        served_one.ask()
        assert (await served_one.answer())[0] == 200
        surplus.ask("/livez")
        assert (await surplus.answer())[0] == 200
        surplus.ask()
        status, headers, _ = await surplus.answer()
        assert (status, headers["connection"]) == (429, "close")
        assert await surplus.ended()
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
        async with connected(port) as one_too_many:
            assert await one_too_many.ended()
        assert len(edge.connections) == 65
        for each in sockets:
            each.close()


async def test_large_bodies_beyond_the_memory_for_them_are_refused_and_never_taken_for_whole() -> None:
    metrics, app = Metrics(), Held()
    edge = make_edge(metrics, body_bytes=300_000)
    async with served(app, edge) as port, connected(port) as first, connected(port) as second:
        first.send((HEAD % 200_001).encode() + bytes(200_000))
        await until(lambda: _held(edge, 200_000 - 65_536))
        second.send((HEAD % 250_000).encode() + bytes(250_000))
        status, headers, _ = await second.answer()
        assert (status, headers["retry-after"], headers["connection"]) == (429, "1", "close")
        assert await second.ended()
        first.send(b"x")
        app.released.set()
        assert (await first.answer())[0] == 200
    assert [len(body) for body in app.bodies] == [200_001]
    assert sorted(app.ends) == ["answered", "disconnected"]
    assert edge.body_bytes == 0
    assert rejected(metrics, "body_memory") == 1


async def test_of_large_bodies_that_come_together_as_many_are_taken_as_there_is_memory_for() -> None:
    app, edge = Held(), make_edge(body_bytes=1_000_000)
    app.released.set()
    async with served(app, edge) as port, AsyncExitStack() as clients:
        uploads = [await clients.enter_async_context(connected(port)) for _ in range(8)]
        for upload in uploads:
            upload.send((HEAD % 400_000).encode())
        for _ in range(8):
            for upload in uploads:
                upload.send(bytes(50_000))
                await upload.writer.drain()
        statuses = sorted([(await upload.answer())[0] for upload in uploads])
    assert statuses[:2] == [200, 200]
    assert statuses[-1] == 429
    assert edge.body_bytes == 0


@pytest.mark.parametrize("announced", [300_000, 10**12])
async def test_large_bodies_of_one_domain_leave_room_for_those_of_others(announced: int) -> None:
    app, edge = Held(), make_edge(body_bytes=1_000_000, largest_body=500_000)
    app.released.set()
    async with served(app, edge) as port, AsyncExitStack() as clients:
        for _ in range(8):
            flood = await clients.enter_async_context(connected(port))
            flood.send((HEAD.replace("/shop/", "/other/") % announced).encode() + bytes(70_000))
        await until(lambda: _held(edge, 70_000))
        client = await clients.enter_async_context(connected(port))
        client.send((HEAD % 400_000).encode() + bytes(400_000))
        assert (await client.answer())[0] == 200


async def test_who_has_no_key_takes_nothing_of_the_memory() -> None:
    app, edge = Held(), make_edge(keys="name=feed sha256=" + "0" * 64 + " scopes=ingest", body_bytes=1_000_000)
    async with served(app, edge) as port, connected(port) as stranger:
        stranger.send((HEAD.replace("/shop/", "/sh%%6fp/") % 10**12).encode() + bytes(200_000))
        await until(lambda: _has_started(app))
        assert edge.body_bytes == 0


async def _has_started(app: Held) -> bool:
    return app.started > 0


async def test_who_is_refused_for_memory_may_send_to_the_end_and_finds_the_answer() -> None:
    app, edge = Held(), make_edge(body_bytes=100_000)
    async with served(app, edge) as port, connected(port) as first, connected(port) as second:
        first.send((HEAD % 100_000).encode() + bytes(99_999))
        await until(lambda: _held(edge, 99_999 - 65_536))
        second.send((HEAD % 20_000_000).encode())
        for _ in range(200):
            second.send(bytes(100_000))
            await second.writer.drain()
        assert (await second.answer())[0] == 429
        assert await second.ended()


async def _held(edge: Edge, least: int) -> bool:
    return edge.body_bytes >= least


async def test_a_body_that_is_alone_may_take_more_than_there_is() -> None:
    app, edge = Held(), make_edge(body_bytes=1000)
    app.released.set()
    async with served(app, edge) as port, connected(port) as client:
        client.ask(BULK, bytes(500_000))
        assert (await client.answer())[0] == 200
