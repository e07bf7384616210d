"""The service before a Redis that asks for TLS, a user and a password, and grants no more than it must."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import RunningService, make_settings, running_service, until
from tests.service.redis_access import add_user, administrator, as_user, behind_tls, carried_out
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    folder = tmp_path / "redis"
    async with embedded_redis(RedisServerConfig(folder, "everysec", 30)):
        yield folder / "redis.sock"


@pytest.fixture
async def admin(socket: Path) -> AsyncIterator["Redis"]:
    async with administrator(socket) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts")


def documented_rules() -> str:
    """The rules of the user that the documentation tells to make."""
    (rules,) = re.findall(r"^user vqrec on >\S+ (.*)$", PAGE.read_text(), re.MULTILINE)
    return str(rules)


def commands(rules: str) -> set[str]:
    return {rule[1:].partition("|")[0] for rule in rules.split() if rule.startswith("+")}


async def use_everything(service: RunningService, store: TinyStore) -> None:
    """Every call that reaches Redis."""
    await service.until_ready()
    await service.serve(store.adapter)
    await service.put_items({name: f"{name} of wood" for name in ("hammer", "saw", "plane", "chisel")})
    item = "/v1/domains/shop/items/saw"
    for method, path, body in (
        ("PUT", item, {"text": "a saw of steel"}),
        ("PATCH", item, {"attributes": {"price": 3}}),
        ("GET", item, None),
        ("GET", f"{item}/similar", None),
        ("POST", "/v1/domains/shop/recommendations", {"history": ["saw"]}),
        ("DELETE", item, None),
        ("GET", "/v1/domains", None),
        ("GET", "/v1/domains/shop", None),
    ):
        answer = await service.http.request(method, path, json=body)
        assert answer.is_success, answer.text
    await service.serve(write_tiny_adapter(store, seed=1, quantizer_seed=1))
    rolled_back = await service.http.post("/v1/admin/domains/shop/adapter:rollback")
    assert (await service.until_finished(rolled_back.headers["location"]))["state"] == "succeeded"


async def test_the_documented_user_may_do_what_the_service_does_and_nothing_else(
    socket: Path, admin: "Redis", store: TinyStore, tmp_path: Path
) -> None:
    rules = documented_rules()
    await add_user(admin, "vqrec", rules)
    await admin.config_resetstat()
    for name in ("first", "second"):  # the second finds everything there, and asks for what another process took
        settings = make_settings(store.root, tmp_path / name, redis_url=as_user(socket, "vqrec"))
        async with running_service(settings) as service:
            if name == "first":
                await use_everything(service, store)
            await service.until_ready()
            assert (await service.http.get("/readyz")).json() == {"status": "ready", "reasons": []}
            if name == "second":
                assert (await service.http.get("/v1/admin/operations/none")).status_code == 404
                assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    used = await carried_out(admin) - {"acl", "config"}  # this test's own
    assert used == commands(rules)
    refused = {entry["object"] for entry in await admin.acl_log()}
    # Redis-py tells its name, and the service asks what is configured; both go on where they may not.
    assert refused <= {"client", "config"}


async def test_the_documented_user_reaches_no_other_keys(socket: Path, admin: "Redis") -> None:
    await admin.set("others", "secret")
    await add_user(admin, "vqrec", documented_rules())
    async with Redis.from_url(as_user(socket, "vqrec"), decode_responses=True) as client:
        for command in (["GET", "others"], ["SET", "others", "x"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
            with pytest.raises(NoPermissionError):
                await client.execute_command(*command)
        script = await admin.script_load("return redis.call('GET', KEYS[1])")
        with pytest.raises(NoPermissionError):
            await client.evalsha(script, 1, "others")
        assert await client.evalsha(script, 1, "vqrec:others") is None


async def test_a_service_whose_password_is_wrong_says_so(
    socket: Path, admin: "Redis", store: TinyStore, tmp_path: Path
) -> None:
    await add_user(admin, "vqrec", documented_rules())
    url = as_user(socket, "vqrec").replace("%20", "-")
    async with running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service:
        await until_not_ready_for(service, "user or password of REDIS_URL")


async def test_a_service_that_may_not_do_its_work_says_so(
    socket: Path, admin: "Redis", store: TinyStore, tmp_path: Path
) -> None:
    await add_user(admin, "vqrec", "~others:* +@all")
    url = as_user(socket, "vqrec")
    async with running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service:
        await until_not_ready_for(service, "may not")


async def test_redis_behind_tls(socket: Path, store: TinyStore, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with behind_tls(socket, authority.issue_cert("localhost")) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem"
        async with running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service:
            await use_everything(service, store)


@pytest.mark.parametrize(
    ("name", "known"),
    [("localhost", False), ("redis.example", True)],
    ids=["of an unknown authority", "of another host"],
)
async def test_another_certificate_than_was_meant_is_refused(
    socket: Path, store: TinyStore, tmp_path: Path, name: str, known: bool
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    (authority if known else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with behind_tls(socket, authority.issue_cert(name)) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path}/ca.pem&ssl_cert_reqs=required"
        async with running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service:
            await until_not_ready_for(service, "certificate of Redis")


async def test_a_redis_without_tls_where_it_was_expected(store: TinyStore, tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR unknown command\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"rediss://localhost:{server.sockets[0].getsockname()[1]}/0"
    async with server, running_service(make_settings(store.root, tmp_path / "data", redis_url=url)) as service:
        await until_not_ready_for(service, "there is no TLS with Redis: ")


async def until_not_ready_for(service: RunningService, reason: str) -> None:
    async def told() -> bool:
        answer = await service.http.get("/readyz")
        return answer.status_code == 503 and reason in " ".join(answer.json()["reasons"])

    await until(told)
