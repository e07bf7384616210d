"""Clients that do not take their answers: these are bounded, who holds too much is cut off, others are served."""

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from service.edge.connections import UnreadAnswers
from service.edge.edge import Edge
from service.metrics import Metrics
from tests.running_service import until
from tests.service.edge.served import PATH, Held, connected, make_edge, served

pytestmark = pytest.mark.anyio

MIB = 1 << 20
BIG = 16 * MIB  # more than the system keeps of an answer
SOON = 0.05
ASKED = f"POST {PATH} HTTP/1.1\r\nhost: here\r\n\r\n".encode()


@dataclass(eq=False)
class Waiting:
    """A connection, as far as it has answers to send."""

    name: str
    cut: list[str] = field(default_factory=list)

    def check(self, now: float) -> None:
        raise NotImplementedError

    def cut_off(self) -> None:
        self.cut.append(self.name)


def test_those_that_have_waited_longest_are_cut_off_first() -> None:
    unread, cut = UnreadAnswers(100), list[str]()
    first, second, third = (Waiting(name, cut) for name in ("first", "second", "third"))
    unread.hold(first, 40)
    unread.hold(second, 60)
    assert (unread.taken, cut) == (100, [])
    unread.hold(first, 30)  # it takes its answer slowly, and is no younger for that
    unread.hold(third, 60)
    assert (unread.taken, cut) == (60, ["first", "second"])
    unread.release(third)
    unread.release(third)
    assert unread.taken == 0


def test_one_that_is_alone_may_hold_more_than_there_is() -> None:
    unread, cut = UnreadAnswers(100), list[str]()
    one, other = Waiting("one", cut), Waiting("other", cut)
    unread.hold(one, 500)
    assert (unread.taken, cut) == (500, [])
    unread.hold(other, 10)
    assert (unread.taken, cut) == (10, ["one"])


def half_reading(stack: ExitStack, port: int) -> socket.socket:
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


async def test_many_that_hold_big_answers_are_cut_off_and_others_are_served() -> None:
    metrics, app, most = Metrics(), Held(bytes(BIG)), 3 * BIG
    app.released.set()
    edge = make_edge(metrics, most=1000, fewest=1000, body_bytes=most)
    async with served(app, edge) as port:
        with ExitStack() as stack:
            seen, clients = [], [half_reading(stack, port) for _ in range(20)]
            for number, client in enumerate(clients, start=1):
                client.sendall(ASKED)
                await until(lambda wanted=number: _is(len(app.ends), wanted))
                client.recv(1024)
                seen.append(edge.unread.taken)
            assert max(seen) <= most
            assert seen[-1] > BIG
            async with connected(port) as other:
                other.ask("/v1/domains/other/recommendations")
                status, _, body = await other.answer()
                assert (status, len(body)) == (200, BIG)
            cut = metrics.registry.get_sample_value("vqrec_rejected_total", {"reason": "unread_answer"})
            assert cut is not None
            assert cut >= 16
            assert metrics.registry.get_sample_value("vqrec_unread_bytes") == edge.unread.taken
        await nobody_is_left(edge)
    assert edge.unread.taken == 0


async def test_who_takes_nothing_is_cut_off_in_time_and_counts_no_more() -> None:
    app, edge = Held(bytes(BIG)), make_edge(client_seconds=SOON)
    app.released.set()
    async with served(app, edge) as port:
        with ExitStack() as stack:
            half_reading(stack, port).sendall(ASKED)
            await until(lambda: _is(len(app.ends), 1))
            await nobody_is_left(edge)
    assert edge.unread.taken == 0


async def test_nothing_is_computed_for_who_has_not_taken_what_was() -> None:
    metrics, app = Metrics(), Held(bytes(BIG))
    app.released.set()
    async with (
        served(app, make_edge(metrics, fewest=10, most=10, body_bytes=100 * BIG)) as port,
        connected(port) as client,
    ):
        client.ask()
        await until(lambda: _is(len(app.ends), 1))
        for _ in range(3):
            client.ask()
        for _ in range(20):
            async with connected(port) as other:
                other.ask("/livez", b"", "GET")
                assert await other.reader.readexactly(15) == b"HTTP/1.1 200 OK"
        assert app.ends == ["answered"] * 21
        assert metrics.registry.get_sample_value("vqrec_requests_in_flight", {"lane": "recommend"}) == 0
        for _ in range(4):
            assert len((await client.answer())[2]) == BIG
    assert app.ends == ["answered"] * 24


async def test_who_takes_its_last_answer_late_gets_all_of_it() -> None:
    app = Held(bytes(BIG))
    app.released.set()
    async with served(app, make_edge()) as port, connected(port) as client:
        client.ask(PATH, b"", "POST", "connection: close")
        await until(lambda: _is(len(app.ends), 1))
        assert len((await client.answer())[2]) == BIG
        assert await client.ended()


async def test_nor_is_it_told_of_refusals_without_end() -> None:
    app, edge = Held(), make_edge(client_seconds=SOON)
    async with served(app, edge) as port, connected(port) as busy:
        busy.ask()
        await until(lambda: _is(app.started, 1))
        with ExitStack() as stack:
            client = half_reading(stack, port)
            loop, most = asyncio.get_running_loop(), 0
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                for _ in range(2000):
                    await loop.sock_sendall(client, ASKED * 1000)
                    most = max([most, *(each.transport.get_write_buffer_size() for each in edge.connections._open)])
            assert most < MIB


async def nobody_is_left(edge: Edge) -> None:
    await until(lambda: _is(len(edge.connections), 0))


async def _is(found: object, expected: object) -> bool:
    return found == expected
