"""A thread of the service is killed at its work, and the service goes on with it."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns

import pytest

from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import RedisProcess, ServiceProcess
from tests.integration.faults.shop import (
    TOOLS,
    metric,
    put,
    put_one,
)
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore
from training.local_service import serve_adapter

# On SIGUSR1 one thread of each pool dies with what it takes up next.
BEFORE = """
import signal, threading
from concurrent.futures import Future

take_up, struck = Future.set_running_or_notify_cancel, set()

def take_up_or_die(future):
    pool = threading.current_thread().name.rpartition("-")[0]
    if pool in struck:
        struck.discard(pool)
        raise SystemExit
    return take_up(future)

Future.set_running_or_notify_cancel = take_up_or_die
signal.signal(signal.SIGUSR1, lambda *_: struck.update({"recommend", "text", "apply"}))
"""
POOLS = ("recommend", "text", "apply")


@pytest.fixture(scope="module")
def redis_server(folder: Path) -> Iterator[RedisProcess]:
    with RedisProcess(folder / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def service(store: TinyStore, folder: Path, redis_server: RedisProcess) -> Iterator[ServiceProcess]:
    with ServiceProcess(store.root, folder / "service", {"REDIS_URL": redis_server.url}, BEFORE) as service:
        service.until_ready()
        serve_adapter(service.http, "shop", store.adapter.path)
        assert put(service.http, TOOLS).status_code == 200
        yield service


def test_threads_that_die_are_replaced_and_no_request_hangs(service: ServiceProcess) -> None:
    with Load(lambda: service.url, recommend, clients=4) as load:
        for deaths in range(1, 4):
            service.strike()
            wait_until(lambda: put_one(service.http, "saw", f"saw {monotonic_ns()}").is_success, "a put succeeds")
            wait_until(
                lambda deaths=deaths: _deaths(service) == dict.fromkeys(POOLS, deaths), "each pool lost a thread"
            )
        answered = load.statuses[200]
        wait_until(lambda: load.statuses[200] > answered + 20, "recommending goes on")
    assert load.statuses.keys() <= {200, 503}, load.statuses
    assert all("the thread that computed this died; try again" in failure for failure in load.failures), load.failures
    assert put(service.http, TOOLS).status_code == 200
    service.until_well()


def _deaths(service: ServiceProcess) -> dict[str, float]:
    return {pool: metric(service.http, f'vqrec_compute_threads_died_total{{pool="{pool}"}}') for pool in POOLS}
