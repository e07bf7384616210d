"""Who may not ask is told so before it takes a place."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.edge.admitted import Admitted
from service.edge.edge import Edge
from service.metrics import Metrics
from service.security import authorize
from service.security.keys import digest_of
from tests.running_service import until
from tests.service.edge.served import PATH, Client, Held, connected, listening, make_edge, served

pytestmark = pytest.mark.anyio

GOOD, ELSEWHERE, FEW, OLD = (f"{name}-key-that-is-long-enough-to-be-hashed" for name in ("good", "other", "few", "old"))
KEYS = "\n".join(
    f"name={name} sha256={digest_of(key).hex()} {more}"
    for name, key, more in (
        ("good", GOOD, "scopes=read domains=shop"),
        ("elsewhere", ELSEWHERE, "scopes=read,ingest domains=other"),
        ("few", FEW, "scopes=read rate=0.001 burst=1"),
        ("old", OLD, "scopes=read expires=2020-01-01"),
    )
)
INFO = "/v1/domains/shop"
ITEM, BULK, BATCH = f"{INFO}/items/a", f"{INFO}/items:bulk", f"{PATH}:batch"


def guarded(metrics: Metrics | None = None, most: int = 2) -> Edge:
    return make_edge(metrics, keys=KEYS, fewest=most, most=most)


async def refusal(client: Client, path: str, method: str, *headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers, and the kind of the problem."""
    client.ask(path, b"", method, *headers)
    status, told, body = await client.answer()
    return status, told, json.loads(body)["type"].rpartition(":")[2]


@pytest.mark.parametrize(
    ("key", "status", "kind"),
    [
        ("", 401, "unauthenticated"),
        ("x-api-key: unknown-key", 401, "unauthenticated"),
        (f"x-api-key: {OLD}", 401, "unauthenticated"),
        (f"authorization: Bearer {ELSEWHERE}", 403, "forbidden"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", PATH), ("POST", BATCH), ("GET", f"{ITEM}/similar"), ("GET", ITEM), ("PUT", ITEM), ("POST", BULK)],
)
async def test_who_may_not_ask_takes_no_place_however_often(
    key: str, status: int, kind: str, method: str, path: str
) -> None:
    metrics, app = Metrics(), Held()
    async with served(app, guarded(metrics)) as port, connected(port) as stranger, connected(port) as client:
        for _ in range(20):
            found, headers, problem = await refusal(stranger, path, method, *filter(None, [key]))
            assert (found, problem) == (status, kind)
            assert headers.get("www-authenticate") == ('Bearer realm="vqrec"' if status == 401 else None)
        app.released.set()
        client.ask(PATH, b"{}", "POST", f"x-api-key: {GOOD}")
        assert (await client.answer())[0] == 200
    assert app.started == 1
    assert metrics.registry.get_sample_value("vqrec_rejected_total", {"reason": kind}) == 20


async def test_refusals_by_key_are_logged_together_and_without_the_key() -> None:
    edge = guarded()
    with capture_logs() as lines:
        async with served(Held(), edge) as port, connected(port) as stranger:
            for _ in range(20):
                await refusal(stranger, PATH, "POST", "x-api-key: unknown-key")
                await refusal(stranger, PATH, "POST", f"x-api-key: {ELSEWHERE}")

            async def told() -> bool:
                return _told(lines) == {"unauthenticated": 20, "forbidden": 20}

            await until(told)
    assert all(line["log_level"] == "warning" for line in lines if line["event"] == "requests-refused")
    assert not any(key in str(lines) for key in ("unknown-key", ELSEWHERE, digest_of(ELSEWHERE).hex()))


async def test_a_key_that_may_not_write_takes_no_place_of_those_that_write() -> None:
    async with served(Held(), guarded()) as port, connected(port) as client:
        assert (await refusal(client, ITEM, "PUT", f"x-api-key: {GOOD}"))[0] == 403


async def test_a_key_beyond_its_rate_takes_no_place_and_one_that_is_refused_one_keeps_what_it_may() -> None:
    app, key = Held(), f"x-api-key: {FEW}"
    async with served(app, guarded(most=1)) as port, connected(port) as busy, connected(port) as client:
        busy.ask(PATH, b"", "POST", f"x-api-key: {GOOD}")
        await until(lambda: _started(app, 1))
        for _ in range(3):
            assert (await refusal(client, PATH, "POST", key))[2] == "overloaded"
        app.released.set()
        assert (await busy.answer())[0] == 200
        client.ask(PATH, b"", "POST", key)
        assert (await client.answer())[0] == 200
        status, headers, kind = await refusal(client, PATH, "POST", key)
        assert (status, kind) == (429, "rate-limited")
        assert int(headers["retry-after"]) > 900
    assert app.started == 2


async def test_a_flood_of_strangers_does_not_end_a_burst_of_those_who_may_ask() -> None:
    app, edge = Held(), make_edge(keys=KEYS, fewest=2, most=2, burst=4)
    async with served(app, edge) as port, connected(port) as stranger:
        first = [await _asked(port, GOOD) for _ in range(4)]
        await until(lambda: _started(app, 4))
        for _ in range(10):
            assert (await refusal(stranger, PATH, "POST"))[0] == 401
        more = [await _asked(port, GOOD) for _ in range(4)]
        await until(lambda: _started(app, 8))
        app.released.set()
        assert [(await client.answer())[0] for client in [*first, *more]] == [200] * 8
        for client in [*first, *more]:
            client.writer.close()


async def test_strangers_are_told_the_same_of_every_domain() -> None:
    async with served(Held(), guarded()) as port, connected(port) as client:
        told = []
        for domain in ("shop", "nowhere"):
            client.ask(f"/v1/domains/{domain}/recommendations", b"", "POST", "x-request-id: same")
            status, headers, body = await client.answer()
            told.append((status, {**headers, "content-length": ""}, body.replace(domain.encode(), b"")))
        assert told[0] == told[1]


async def test_what_only_the_application_can_tell_has_few_places_for_strangers_and_none_of_others() -> None:
    app = Held()
    path = "/v1/domains/sh%6fp/recommendations"  # a name that is written in another way
    async with served(app, guarded()) as port:
        strangers = [await _asked(port, "", path) for _ in range(40)]
        await until(lambda: _started(app, 16))
        statuses = [(await client.answer())[0] for client in strangers[16:]]
        assert statuses == [429] * 24
        client = await _asked(port, GOOD)
        await until(lambda: _started(app, 17))
        app.released.set()
        assert (await client.answer())[0] == 200
        assert [(await each.answer())[0] for each in strangers[:16]] == [200] * 16
        for each in [*strangers, client]:
            each.writer.close()


async def test_the_application_does_not_charge_again_for_what_the_edge_let_in() -> None:
    metrics = Metrics()
    edge = make_edge(metrics, keys=KEYS.replace("rate=0.001 burst=1", "rate=0.001 burst=2"))
    held = Held()
    held.released.set()

    async def asking_for_a_key(scope: Scope, receive: Receive, send: Send) -> None:
        authorize(scope, "read", "shop")
        await held(scope, receive, send)

    async with listening(Admitted(asking_for_a_key), SimpleNamespace(edge=edge)) as port, connected(port) as client:
        for status in (200, 200, 429):
            client.ask(PATH, b"", "POST", f"x-api-key: {FEW}")
            assert (await client.answer())[0] == status
    outcomes = {"accepted": 2, "limited": 1, "forbidden": 0}
    for outcome, count in outcomes.items():
        labels = {"key": "few", "outcome": outcome}
        assert metrics.registry.get_sample_value("vqrec_key_requests_total", labels) == count


async def test_health_is_for_everybody() -> None:
    async with served(Held(), guarded()) as port, connected(port) as client:
        client.ask("/livez", b"", "GET")
        assert (await client.answer())[0] == 200


def _told(lines: Sequence[Any]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for line in lines:
        if line["event"] == "requests-refused":
            counted[line["reason"]] += line["requests"]
    return counted


async def _started(app: Held, count: int) -> bool:
    return app.started == count


async def _asked(port: int, key: str, path: str = PATH) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    client.ask(path, b"", "POST", *([f"x-api-key: {key}"] if key else []))
    return client
