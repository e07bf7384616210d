"""The service is killed at named points of a swap and of a compaction, and goes on where it was."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from models.adapter import DomainAdapter
from tests.integration.faults import points
from tests.integration.faults.processes import RedisProcess, ServiceProcess
from tests.integration.faults.shop import KEYS, TOOLS, assert_stored, choose, details, put, recommended, texts
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter
from training.local_service import serve_adapter

ITEMS = {**TOOLS, **texts(1500)}  # more than are left in the fresh segment, and than are read from Redis at a time


class Point(NamedTuple):
    """A point in a swap.

    Args:
        place, calls: as :func:`tests.integration.faults.points.arm` takes them.
        is_chosen, is_answered: whether the choice is in Redis by then, and its caller has been told so.
        codes: how many items have a code under the new quantiser, at least and at most.
    """

    place: str
    calls: int
    is_chosen: bool
    is_answered: bool
    codes: tuple[int, int]


NONE, SOME, ALL = (0, 0), (1, len(ITEMS) - 1), (len(ITEMS), len(ITEMS))
POINTS = {
    "checked, not chosen": Point("service.catalog.directory:DomainDirectory.choose", 1, False, False, NONE),
    "chosen, the operation not stored": Point("service.admin.operations:Operations.store", 1, True, False, NONE),
    "accepted, not read": Point("service.catalog.builder:ReplicaBuilder.build", 1, True, True, NONE),
    "some codes stored": Point("service.catalog.repository:CatalogueRepository.store_codes", 2, True, True, SOME),
    "built, not tested": Point("service.catalog.builder:check_answers", 1, True, True, ALL),
    "tested, not installed": Point("service.catalog.registry:Registry.install", 1, True, True, ALL),
    "installed, not told": Point("service.admin.operations:Operations.served", 1, True, True, ALL),
    "told, the codes before not dropped": Point(
        "service.catalog.directory:DomainDirectory.drop_other_codes", 1, True, True, ALL
    ),
}
_IN_THE_SUITE = ("chosen, the operation not stored", "some codes stored")
_SEEDS = count(100)


@pytest.fixture(scope="module")
def redis_server(folder: Path) -> Iterator[RedisProcess]:
    with RedisProcess(folder / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def process(store: TinyStore, folder: Path, redis_server: RedisProcess) -> Iterator[ServiceProcess]:
    data = folder / "service"
    with ServiceProcess(store.root, data, {"REDIS_URL": redis_server.url}, points.before(data)) as service:
        service.until_ready()
        yield service


@pytest.fixture
def service(process: ServiceProcess, store: TinyStore) -> ServiceProcess:
    """In full order, with the tools and nothing else."""
    process.until_well()
    for domain in process.http.get("/v1/domains").json()["domains"]:
        assert process.http.delete(f"/v1/admin/domains/{domain['domain']}").status_code == 204
    serve_adapter(process.http, "shop", store.adapter.path)
    assert put(process.http, TOOLS).status_code == 200
    return process


@pytest.fixture(params=POINTS)
def point(request: pytest.FixtureRequest, full_size: bool) -> Point:
    if not full_size and request.param not in _IN_THE_SUITE:
        pytest.skip("with --full-size")
    return POINTS[request.param]


@pytest.fixture(params=["in its middle", "at its end"])
def place(request: pytest.FixtureRequest, full_size: bool) -> str:
    """A point in a compaction."""
    if request.param == "in its middle":
        return "service.catalog.segment:Segment.joined_by"
    if not full_size:
        pytest.skip("with --full-size")
    return "service.catalog.registry:Registry.install"


def test_killed_while_it_swaps(
    point: Point, service: ServiceProcess, store: TinyStore, redis_server: RedisProcess
) -> None:
    before = store.load_adapter()
    assert put(service.http, ITEMS).status_code == 200
    other = write_tiny_adapter(store, seed=next(_SEEDS), quantizer_seed=next(_SEEDS))
    chosen = DomainAdapter.load(other.path)
    points.arm(service, point.place, point.calls)
    with ThreadPoolExecutor(1) as admin:
        call = admin.submit(choose, service.http, other.path)
        points.until_stopped(service.pid)
        stored = redis_server.client.hlen(KEYS.codes(chosen.quantizer.sha256))
        assert point.codes[0] <= stored <= point.codes[1]
        service.kill()
        accepted = _answer(call)
    assert (accepted is not None) == point.is_answered
    service.start()
    service.until_well()

    served = chosen if point.is_chosen else before
    assert details(service.http)["adapter_version"] == served.version
    assert details(service.http)["items"] == len(ITEMS)
    assert_stored(redis_server.client, store, served, ITEMS)
    if accepted is not None:
        operation = accepted.headers["location"]
        assert service.http.get(operation).json()["state"] == "succeeded"
    _assert_same_answers_as_served_anew(service.http, served)
    # And on from there, by the usual way and back.
    assert serve_adapter(service.http, "shop", other.path) == other.version
    back = service.http.post("/v1/admin/domains/shop/adapter:rollback")
    assert back.status_code == 202, back.text
    wait_until(lambda: details(service.http)["adapter_version"] == before.version, "it went back")
    assert_stored(redis_server.client, store, before, ITEMS)


def test_killed_while_it_folds_items_in(
    place: str, service: ServiceProcess, store: TinyStore, redis_server: RedisProcess
) -> None:
    points.arm(service, place)
    with ThreadPoolExecutor(1) as feed:
        call = feed.submit(put, service.http, ITEMS)
        points.until_stopped(service.pid)
        service.kill()
        answer = _answer(call)
    service.start()
    service.until_well()
    if answer is None:  # it was killed before it had taken all of them
        assert put(service.http, ITEMS).status_code == 200
    assert details(service.http)["items"] == len(ITEMS)
    assert_stored(redis_server.client, store, store.load_adapter(), ITEMS)
    _assert_same_answers_as_served_anew(service.http, store.load_adapter())


def test_an_adapter_that_is_deleted_before_its_reader_comes_to_it_is_served_once_it_is_back(
    service: ServiceProcess, store: TinyStore, tmp_path: Path
) -> None:
    before, answers = details(service.http)["adapter_version"], recommended(service.http)
    other = write_tiny_adapter(store, seed=next(_SEEDS))
    points.arm(service, "service.catalog.builder:ReplicaBuilder._read")
    with ThreadPoolExecutor(1) as admin:
        call = admin.submit(choose, service.http, other.path)
        points.until_stopped(service.pid)
        shutil.move(other.path, tmp_path / "away")
        service.resume()
        operation = call.result(60).headers["location"]
    wait_until(lambda: service.http.get(operation).json()["state"] == "failed", "the swap has failed")
    assert "there is no artifact at" in service.http.get(operation).json()["error"]
    assert details(service.http)["adapter_version"] == before
    assert recommended(service.http) == answers
    code, status, reasons = service.readiness()
    assert (code, status) == (200, "degraded")
    assert f"domain shop: adapter {other.version} failed" in reasons

    shutil.move(tmp_path / "away", other.path)
    wait_until(lambda: details(service.http)["adapter_version"] == other.version, "it is served once it is back")
    assert service.http.get(operation).json()["state"] == "succeeded"
    service.until_well()


def _answer(call: "Future[httpx.Response]") -> httpx.Response | None:
    """What a call was answered; None if the service was killed before."""
    try:
        answer = call.result(60)
    except httpx.TransportError:
        return None
    assert answer.is_success, answer.text
    return answer


def _assert_same_answers_as_served_anew(http: httpx.Client, adapter: DomainAdapter) -> None:
    """Check the answers against those of another domain, to which nothing has happened."""
    serve_adapter(http, "other", adapter.bundle.path)
    assert put(http, ITEMS, "other").status_code == 200
    assert recommended(http) == recommended(http, "other")
