"""A service with an embedded Redis whose files may not grow, or that is killed: it says so, and mends itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock

import httpx
import pytest
import redis

from service.backup.verifying import verified_backup
from tests.integration.faults import points
from tests.integration.faults.load import Ask, Load, recommend
from tests.integration.faults.processes import VQREC, ServiceProcess, limit_files
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


def test_an_embedded_redis_that_is_killed_comes_back_with_all_it_acknowledged(
    service: ServiceProcess, store: TinyStore, redis_client: redis.Redis
) -> None:
    adapter = store.load_adapter()
    with Load(lambda: service.url, recommend, clients=2) as load:
        assert put_one(service.http, "new-0", "new 0").status_code == 201
        os.kill(_pid(redis_client), signal.SIGKILL)
        wait_until(lambda: "redis-server-started-anew" in service.log, "it is started anew")
        wait_until(lambda: put_one(service.http, "saw", "another saw").is_success, "it takes writes again")
    load.assert_no_failure()
    assert put(service.http, ITEMS).status_code == 200
    assert_stored(redis_client, store, adapter, ITEMS)


@pytest.mark.parametrize("victims", ["rewriting", "both"])
def test_a_rewrite_of_the_append_only_file_that_is_killed_loses_and_leaves_nothing(
    service: ServiceProcess, store: TinyStore, redis_client: redis.Redis, victims: str
) -> None:
    folder, server = service.folder / "redis", _pid(redis_client)
    assert put(service.http, ITEMS).status_code == 200
    redis_client.config_set(
        "rdb-key-save-delay", 600_000_000
    )  # microseconds: it stays in the middle until it is killed
    redis_client.bgrewriteaof()
    wait_until(lambda: bool(list(folder.glob("temp-*.aof"))), "the rewrite has begun")
    (rewriting,) = map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())
    assert put_one(service.http, "meanwhile", f"meanwhile {victims}").is_success
    anew = service.log.count("redis-server-started-anew")
    if victims == "both":
        os.kill(server, signal.SIGKILL)
    os.kill(rewriting, signal.SIGKILL)
    if victims == "both":
        wait_until(lambda: service.log.count("redis-server-started-anew") > anew, "it is started anew")
    else:
        redis_client.config_set("rdb-key-save-delay", 0)
    wait_until(lambda: put_one(service.http, "saw", "hand saw").is_success, "it takes writes again")
    wait_until(lambda: not list(folder.glob("temp-*")), "what was half written is removed")
    written = {**ITEMS, "meanwhile": f"meanwhile {victims}"}
    assert_stored(redis_client, store, store.load_adapter(), written)
    assert service.http.delete("/v1/domains/shop/items/meanwhile").status_code == 204


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


def test_a_backup_whose_service_is_killed_meanwhile_leaves_nothing_and_is_made_of_what_it_left(
    service: ServiceProcess, redis_client: redis.Redis, tmp_path: Path
) -> None:
    options = ["--out", str(tmp_path / "backup"), "--data-dir", str(service.folder)]
    before = points.stopping("service.backup.reading:DomainReading._catch_up")
    with Load(lambda: service.url, put_next(), clients=2) as feed:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom models.command_line import main; main()", "backup", *options],
            stderr=subprocess.PIPE,
            env={**os.environ, "REDIS_URL": ""},
        )
        points.until_stopped(process.pid)
        wait_until(lambda: feed.statuses[201] > 10, "it is written to meanwhile")
        service.kill()
        wait_until(lambda: not _answers(redis_client), "its Redis has ended with it")
        process.send_signal(signal.SIGCONT)
        told = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "vqrec: Redis does not do its part" in told
    assert list(tmp_path.iterdir()) == []

    command = [str(VQREC), "backup", *options]  # of the stopped service's data
    subprocess.run(command, env={**os.environ, "REDIS_URL": ""}, capture_output=True, check=True)
    backed_up = {line.item_id.decode() for line in verified_backup(tmp_path / "backup").lines("shop")}
    acknowledged = {f"fed-{number}" for number in range(feed.statuses[201])}
    assert len(acknowledged) > 10
    assert {item_id for item_id in backed_up if item_id.startswith("fed-")} >= acknowledged


def put_next() -> Ask:
    """Puts new items one after the other."""
    numbers, lock = count(), Lock()

    def put_one_more(http: httpx.Client, url: str) -> httpx.Response:
        with lock:
            return http.put(f"{url}/v1/domains/shop/items/fed-{next(numbers)}", json={"text": "fed"})

    return put_one_more


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])
