"""Redis is slow, breaks connections off, has no disk left, or lives in another time."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns, time
from typing import NamedTuple

import pytest

from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import RedisProcess, ServiceProcess
from tests.integration.faults.proxy import Proxy
from tests.integration.faults.shop import (
    KEYS,
    TOOLS,
    assert_stored,
    changes,
    choose,
    details,
    put,
    put_one,
    recommended,
    texts,
)
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter
from training.local_service import serve_adapter

_HOUR = 3_600_000  # milliseconds


class Shop(NamedTuple):
    """A service, the Redis behind it, and what lies between."""

    service: ServiceProcess
    redis: RedisProcess
    proxy: Proxy


@pytest.fixture(scope="module")
def processes(store: TinyStore, folder: Path) -> Iterator[Shop]:
    with (
        RedisProcess(folder / "redis", "everysec") as redis,
        Proxy(redis.port) as proxy,
        ServiceProcess(store.root, folder / "service", {"REDIS_URL": proxy.url}) as service,
    ):
        service.until_ready()
        yield Shop(service, redis, proxy)


@pytest.fixture
def shop(processes: Shop, store: TinyStore) -> Shop:
    """The shop in full order, with its tools and nothing else."""
    processes.service.until_well()
    http = processes.service.http
    http.delete("/v1/admin/domains/shop")
    serve_adapter(http, "shop", store.adapter.path)
    assert put(http, TOOLS).status_code == 200
    return processes


def test_with_a_slow_redis_recommending_does_not_wait_and_writing_does_its_work(shop: Shop, store: TinyStore) -> None:
    http, other = shop.service.http, write_tiny_adapter(store, seed=1)
    shop.proxy.delay(0.5)
    with Load(lambda: shop.service.url, recommend, clients=2) as load:
        answered = load.answered
        assert put(http, texts(100)).status_code == 200
        assert load.answered - answered > 20  # a bulk waits for Redis several times
        assert {item_id for item_id, _ in recommended(http, limit=500)} >= texts(100).keys()
        assert serve_adapter(http, "shop", other.path) == other.version
    load.assert_no_failure()
    shop.proxy.delay(0)
    shop.service.until_well()


@pytest.mark.parametrize(("of", "most_bytes"), [("requests", 20_000), ("answers", 1_000)])
def test_a_bulk_that_is_cut_off_is_stored_in_whole_items_and_can_be_repeated(
    shop: Shop, store: TinyStore, of: str, most_bytes: int
) -> None:
    http, items, cuts = shop.service.http, texts(400), shop.proxy.cuts
    if of == "requests":
        shop.proxy.cut_after(most_bytes, "requests")
    else:
        shop.proxy.cut_after(most_bytes, "answers", asked=10_000)  # those to a pipeline, and to no follower
    refused = put(http, items)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text
    assert refused.json()["type"] == "urn:vqrec:problem:redis-unavailable"
    assert shop.proxy.cuts == cuts + 1

    adapter = store.load_adapter()

    def stored() -> set[str]:
        return {key.decode() for key in shop.redis.client.hkeys(KEYS.items)} - TOOLS.keys()

    def is_whole() -> bool:
        """Redis goes on with what it was sent before the cut, and the service with a chunk that it had begun."""
        before = stored()
        try:
            assert_stored(
                shop.redis.client, store, adapter, {**TOOLS, **{item_id: items[item_id] for item_id in before}}
            )
        except AssertionError:
            if stored() == before:
                raise
            return False
        return bool(before)

    wait_until(is_whole, "nothing more is written")
    assert 0 < len(stored()) < len(items)
    least = len(stored())

    again = put(http, items)
    assert again.status_code == 200
    assert again.json()["unchanged"] >= least
    assert_stored(shop.redis.client, store, adapter, {**TOOLS, **items})
    assert set(changes(shop.redis.client).values()) == {1}
    assert details(http)["items"] == len(TOOLS) + len(items)


def test_cut_connections_are_made_anew(shop: Shop) -> None:
    with Load(lambda: shop.service.url, recommend, clients=2) as load:
        for number in range(5):
            shop.proxy.cut()
            wait_until(
                lambda number=number: put_one(shop.service.http, f"new-{number}", "new").is_success, "a put succeeds"
            )
    load.assert_no_failure()
    assert {f"new-{number}" for number in range(5)} <= dict(recommended(shop.service.http)).keys()


def test_without_disk_redis_is_read_and_not_written_until_there_is_room_again(shop: Shop, store: TinyStore) -> None:
    http = shop.service.http
    shop.redis.limit_files(shop.redis.log_bytes + 100)
    with Load(lambda: shop.service.url, recommend, clients=2) as load:
        wait_until(lambda: put_one(http, "saw", f"saw {monotonic_ns()}").status_code == 503, "Redis refuses to write")
        for refused in (
            put_one(http, "new", "new"),
            put(http, texts(100)),
            http.patch("/v1/domains/shop/items/vice", json={"available": False}),
            http.delete("/v1/domains/shop/items/vice"),
            choose(http, write_tiny_adapter(store, seed=1).path),
            http.delete("/v1/admin/domains/shop"),
        ):
            assert (refused.status_code, refused.headers.get("retry-after")) == (503, "1"), refused.text
            assert "MISCONF" in refused.json()["detail"]
        assert http.get("/v1/domains/shop/items/vice").status_code == 200
        wait_until(lambda: "MISCONF" in shop.service.readiness()[2], "/readyz says that Redis takes no writes")
        assert shop.service.readiness()[:2] == (200, "degraded")

        shop.redis.limit_files(None)
        shop.service.until_well()
        assert put_one(http, "new", "new").status_code == 201
    load.assert_no_failure()
    assert "new" in dict(recommended(http))


def test_a_clock_that_was_ahead_and_is_set_back_keeps_the_changes_in_their_order(shop: Shop) -> None:
    http, redis = shop.service.http, shop.redis.client
    ahead = _write_while_an_hour_ahead(shop)
    for number in range(3):
        assert put_one(http, "saw", f"saw {number}").status_code == 200
    version = http.get("/v1/domains/shop/items/saw").json()["version"]
    assert version == f"{ahead}-3"
    assert redis.xlen(KEYS.changes) == len(TOOLS) + 4
    assert put_one(http, "saw", "saw 2").json()["status"] == "unchanged"


def test_a_stream_that_went_back_in_time_is_followed_from_there(shop: Shop) -> None:
    """As after the restoring of a backup, with a clock before the last change that was served."""
    http, redis = shop.service.http, shop.redis.client
    _write_while_an_hour_ahead(shop)
    backup = {key: redis.dump(key) for key in redis.keys("vqrec:{shop}:*")}
    assert put(http, texts(20)).status_code == 200
    restoring = redis.pipeline(transaction=True)
    for key in redis.keys("vqrec:{shop}:*"):
        restoring.delete(key)
    for key, value in backup.items():
        restoring.restore(key, 0, value)
    restoring.execute()

    wait_until(lambda: details(http)["items"] == len(TOOLS), "what the backup lacks is no longer served")
    assert put_one(http, "new", "new").status_code == 201
    assert {item_id for item_id, _ in recommended(http)} == {*TOOLS, "new"} - {"hammer"}
    shop.service.until_well()


def _write_while_an_hour_ahead(shop: Shop) -> int:
    """Write a change as a Redis does whose clock is an hour ahead; the time of the change, in milliseconds."""
    redis = shop.redis.client
    ahead = int(time() * 1000) + _HOUR
    ((last, _),) = redis.xrevrange(KEYS.changes, count=1)
    redis.xadd(KEYS.changes, {"op": "put", "id": "hammer", "after": last}, id=f"{ahead}-0")
    return ahead
