"""What happens to a request before anything is made of it."""

import asyncio
import json

import pytest

from service.metrics import Metrics
from tests.running_service import until
from tests.service.edge.served import PATH, Client, Held, connected, make_edge, served

pytestmark = pytest.mark.anyio

ASKED = f"GET {PATH} HTTP/1.1\r\nhost: here\r\n\r\n".encode()
ROUTE = "/v1/domains/{domain}/recommendations"


async def has_started(app: Held, count: int) -> None:
    async def started() -> bool:
        return app.started == count

    await until(started)


async def test_a_request_beyond_the_limit_is_refused_and_its_connection_goes_on() -> None:
    metrics, app = Metrics(), Held()
    async with served(app, make_edge(metrics)) as port, connected(port) as first, connected(port) as second:
        first.ask()
        await has_started(app, 1)
        second.ask(PATH, b'{"history": []}', "POST", "x-request-id: mine")
        status, headers, body = await second.answer()
        assert (status, headers["retry-after"], headers["x-request-id"]) == (429, "1", "mine")
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-content-type-options"] == "nosniff"
        problem = json.loads(body)
        assert (problem["type"], problem["instance"]) == ("urn:vqrec:problem:overloaded", PATH)
        assert (problem["status"], problem["request_id"]) == (429, "mine")
        app.released.set()
        assert (await first.answer())[0] == 200
        second.ask()
        assert (await second.answer())[0] == 200
    assert app.started == 2
    read = metrics.registry.get_sample_value
    assert read("vqrec_rejected_total", {"reason": "recommend_overload"}) == 1
    assert read("vqrec_http_requests_total", {"method": "POST", "route": ROUTE, "status": "429"}) == 1


async def test_health_is_answered_while_everything_else_is_refused() -> None:
    app = Held()
    async with served(app, make_edge()) as port, connected(port) as busy, connected(port) as other:
        busy.ask()
        await has_started(app, 1)
        for path, status in ((PATH, 429), ("/livez", 200), (PATH, 429)):
            other.ask(path)
            assert (await other.answer())[0] == status


async def test_a_flood_on_one_domain_leaves_room_for_another() -> None:
    app = Held()
    async with served(app, make_edge(fewest=8, most=8)) as port:
        flood = [await _asked(port, PATH) for _ in range(20)]
        statuses = [(await client.answer())[0] for client in flood[8:]]
        assert statuses == [429] * 12
        other = await _asked(port, "/v1/domains/other/recommendations")
        await has_started(app, 9)
        app.released.set()
        assert (await other.answer())[0] == 200
        assert [(await client.answer())[0] for client in flood[:8]] == [200] * 8
        for client in [*flood, other]:
            client.writer.close()


async def test_names_of_no_domain_share_one_part() -> None:
    app = Held()
    async with served(app, make_edge(fewest=8, most=8)) as port:
        made_up = [await _asked(port, f"/v1/domains/made-up-{number}/recommendations") for number in range(20)]
        assert [(await client.answer())[0] for client in made_up[8:]] == [429] * 12
        for client in made_up:
            client.writer.close()


async def _asked(port: int, path: str) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    client.ask(path)
    return client


@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATH), ("POST", f"{PATH}:batch"), ("GET", "/v1/domains/shop/items/a/similar")]
)
async def test_what_nobody_waits_for_any_more_is_broken_off(method: str, path: str) -> None:
    app, edge = Held(), make_edge()
    async with served(app, edge) as port:
        async with connected(port) as client:
            client.ask(path, b"", method)
            await has_started(app, 1)
        await until(lambda: _is(app.ends, ["cancelled"]))
        async with connected(port) as client:  # and its place is free
            app.released.set()
            client.ask(path, b"", method)
            assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/domains/shop/items/a"), ("POST", "/v1/domains/shop/items:bulk")]
)
async def test_a_write_is_done_to_its_end_though_its_caller_is_gone(method: str, path: str) -> None:
    app = Held()
    async with served(app, make_edge()) as port:
        async with connected(port) as client:
            client.ask(path, b"{}", method)
            await has_started(app, 1)
        async with connected(port) as client:  # served after the other one was lost
            client.ask("/livez")
            await client.answer()
        app.released.set()
        await until(lambda: _is(app.ends, ["answered", "answered"]))


async def _is(found: list[str], expected: list[str]) -> bool:
    return found == expected


async def test_a_pipelined_request_that_is_refused_ends_the_connection_after_the_answers_before_it() -> None:
    app = Held()
    async with served(app, make_edge()) as port, connected(port) as client:
        client.send(ASKED * 2)
        await has_started(app, 1)
        app.released.set()
        assert (await client.answer())[0] == 200
        assert await client.ended()
    assert app.started == 1


async def test_pipelined_requests_that_are_admitted_are_answered_in_turn() -> None:
    app, edge = Held(), make_edge(fewest=8, most=8)
    async with served(app, edge) as port, connected(port) as client:
        for _ in range(3):
            client.ask()
        app.released.set()
        assert [(await client.answer())[0] for _ in range(3)] == [200] * 3


async def test_pipelined_requests_that_never_start_give_their_places_back() -> None:
    app, edge = Held(), make_edge(fewest=3, most=3)
    async with served(app, edge) as port:
        async with connected(port) as client:
            client.send(ASKED * 3)
            await has_started(app, 1)
        clients = [await _asked(port, PATH) for _ in range(3)]
        await has_started(app, 4)
        app.released.set()
        assert [(await client.answer())[0] for client in clients] == [200] * 3
        for client in clients:
            client.writer.close()


async def test_a_refused_question_for_the_head_has_no_body() -> None:
    app = Held()
    async with served(app, make_edge()) as port, connected(port) as busy, connected(port) as other:
        busy.ask(PATH, b"", "HEAD")
        await has_started(app, 1)
        other.ask(PATH, b"", "HEAD")
        assert (await other.answer(has_body=False))[0] == 429
        other.ask("/livez")
        assert (await other.answer())[0] == 200


async def test_who_asks_before_it_sends_its_body_is_told_not_to() -> None:
    app = Held()
    async with served(app, make_edge()) as port, connected(port) as busy, connected(port) as other:
        busy.ask()
        await has_started(app, 1)
        other.send(f"POST {PATH} HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n".encode())
        status, headers, _ = await other.answer()
        assert (status, headers["connection"]) == (429, "close")
        assert await other.ended()


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"])
async def test_what_is_not_http_gets_a_problem_and_no_place(raw: bytes) -> None:
    async with served(Held(), make_edge()) as port:
        for _ in range(3):
            async with connected(port) as client:
                client.send(raw)
                status, headers, body = await client.answer()
                assert (status, headers["content-type"]) == (400, "application/problem+json")
                assert json.loads(body)["type"] == "urn:vqrec:problem:bad-request"
                assert await client.ended()


async def test_a_url_that_cannot_be_read_keeps_no_place() -> None:
    app = Held()
    app.released.set()
    async with served(app, make_edge()) as port:
        for _ in range(3):
            async with connected(port) as client:
                client.send(b"CONNECT here:80 HTTP/1.1\r\nhost: here\r\n\r\n")
                assert (await client.answer())[0] == 400
        async with connected(port) as client:
            client.ask("/v1/domains")
            assert (await client.answer())[0] == 200
