"""A service with an embedded Redis whose disk is full, or whose Redis is killed: it says so, and mends itself."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import ServiceProcess, limit_files
from tests.integration.faults.shop import TOOLS, assert_stored, details, put, put_one, recommended
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store
from training.local_service import serve_adapter

ITEMS = {**TOOLS, "new-0": "new 0", "new-1": "new 1"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where adapters are fetched from."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def service(store: TinyStore, folder: Path, published: Path) -> Iterator[ServiceProcess]:
    environment = {"VQREC_ADAPTER_URL_PREFIXES": f"file://{published}"}
    with ServiceProcess(store.root, folder / "service", environment) as service:
        service.until_ready()
        serve_adapter(service.http, "shop", store.adapter.path)
        assert put(service.http, TOOLS).status_code == 200
        yield service


@pytest.fixture
def redis_client(service: ServiceProcess) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(service.folder / "redis" / "redis.sock"), socket_timeout=30) as client:
        yield client


def test_an_embedded_redis_that_is_killed_comes_back_with_all_it_acknowledged(
    service: ServiceProcess, store: TinyStore, redis_client: redis.Redis
) -> None:
    adapter = store.load_adapter()
    with Load(lambda: service.url, recommend, clients=2) as load:
        for number in range(2):
            assert put_one(service.http, f"new-{number}", f"new {number}").status_code == 201
            os.kill(_pid(redis_client), signal.SIGKILL)
            wait_until(
                lambda number=number: service.log.count("redis-server-started-anew") > number, "it is started anew"
            )
            wait_until(
                lambda number=number: put_one(service.http, "saw", f"saw {number}").is_success, "it takes writes again"
            )
    load.assert_no_failure()
    assert put(service.http, ITEMS).status_code == 200
    assert_stored(redis_client, store, adapter, ITEMS)


def test_a_disk_that_is_full_for_the_embedded_redis_stops_writing_alone(
    service: ServiceProcess, store: TinyStore, redis_client: redis.Redis
) -> None:
    server = _pid(redis_client)
    acknowledged = dict(ITEMS)
    limit_files(server, (service.folder / "redis" / "appendonly.aof").stat().st_size + 3_000)
    with Load(lambda: service.url, recommend, clients=2) as load:
        for number in range(1000):
            answer = put_one(service.http, f"more-{number}", f"more {number}")
            if answer.status_code != 201:
                break
            acknowledged[f"more-{number}"] = f"more {number}"
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert len(acknowledged) > len(ITEMS)
        # It ended, as one does that must sync what it acknowledges; the next one has room.
        wait_until(lambda: put_one(service.http, "last", "last").is_success, "it takes writes again")
    load.assert_no_failure()
    service.until_well()
    stored = {item_id.decode() for item_id in redis_client.hkeys("vqrec:{shop}:items")}
    assert stored - acknowledged.keys() <= {"last", f"more-{number}"}
    assert stored >= acknowledged.keys()
    assert details(service.http)["items"] == len(stored)


def test_an_adapter_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing(
    service: ServiceProcess, published: Path, tmp_path: Path
) -> None:
    there = write_tiny_adapter(write_tiny_store(tmp_path / "elsewhere"), seed=7)
    there.path.rename(published / "new")
    url = f"file://{published}/new"
    before = recommended(service.http)
    service.limit_files(1024)
    refused = service.http.put("/v1/admin/domains/shop/adapter", json={"source": url})
    service.limit_files(None)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30"), refused.text
    assert refused.json()["type"] == "urn:vqrec:problem:unavailable"
    assert "the data directory cannot take the adapter: File too large" in refused.json()["detail"]
    assert list((service.folder / "adapters").iterdir()) == []
    assert recommended(service.http) == before

    accepted = service.http.put("/v1/admin/domains/shop/adapter", json={"source": url})
    assert accepted.status_code == 202, accepted.text
    wait_until(lambda: details(service.http)["adapter_version"] == there.version, "it is served once there is room")


def _pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])
