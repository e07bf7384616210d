"""Artifacts that may be written to, a Redis that may be killed, and two replicas on one that all tests share."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from tests.integration.faults.processes import RedisProcess, ServiceProcess
from tests.integration.faults.shop import TOOLS, put, serves
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_store
from training.local_service import serve_adapter


class Pair(NamedTuple):
    """Two replicas of the same shop, and the Redis that they share."""

    first: ServiceProcess
    second: ServiceProcess
    redis: RedisProcess

    @property
    def services(self) -> tuple[ServiceProcess, ServiceProcess]:
        return self.first, self.second


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return write_tiny_store(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of a module keep their data."""
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="session")
def processes(store: TinyStore, tmp_path_factory: pytest.TempPathFactory, full_size: bool) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with RedisProcess(folder / "redis") as redis:
        environment = {
            "REDIS_URL": redis.url,
            "VQREC_STREAM_LENGTH": "100",
            "VQREC_DRAIN_SECONDS": "5" if full_size else "1",
        }
        one, two = (ServiceProcess(store.root, folder / name, environment) for name in ("one", "two"))
        with one as first, two as second:
            yield Pair(first, second, redis)


@pytest.fixture
def pair(processes: Pair, store: TinyStore) -> Pair:
    """Both replicas in full order, and in the shop its tools and nothing else."""
    for service in processes.services:
        if not service.runs:
            service.start()
    for service in processes.services:
        service.until_ready()
    http = processes.first.http
    for domain in http.get("/v1/domains").json()["domains"]:
        assert http.delete(f"/v1/admin/domains/{domain['domain']}").status_code == 204
    serve_adapter(http, "shop", store.adapter.path)
    assert put(http, TOOLS).status_code == 200
    for service in processes.services:
        wait_until(
            lambda service=service: all(serves(service.http, item_id) for item_id in TOOLS), "both serve the shop"
        )
        service.until_well()
    return processes


@pytest.fixture
def redis_client(service: ServiceProcess) -> Iterator[redis.Redis]:
    """Of the Redis that the service of a module runs itself."""
    with redis.Redis(unix_socket_path=str(service.folder / "redis" / "redis.sock"), socket_timeout=30) as client:
        yield client
