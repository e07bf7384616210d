"""A disk that is full: what was acknowledged is there, nothing half-written stays, and room mends it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.integration.faults.disk import SmallDisk
from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import VQREC, ServiceProcess
from tests.integration.faults.shop import TOOLS, assert_stored, details, put, put_one, recommended, texts
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store
from training.local_service import serve_adapter

DISK = 24 << 20
PAGE = 4096  # what a file of a tmpfs grows by


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path_factory.mktemp("disk"), DISK) as disk:
        yield disk


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where adapters are fetched from, on a disk with room."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def process(store: TinyStore, disk: SmallDisk, published: Path) -> Iterator[ServiceProcess]:
    environment = {"VQREC_ADAPTER_URL_PREFIXES": f"file://{published}"}
    log = disk.path / "service.log"
    with ServiceProcess(store.root, disk.folder, environment, disk=disk, log=log) as service:
        service.until_ready()
        yield service


@pytest.fixture
def service(process: ServiceProcess, disk: SmallDisk, store: TinyStore) -> ServiceProcess:
    """In full order, with the tools and nothing else, on a disk with room."""
    disk.clear()
    process.until_well()
    process.http.delete("/v1/admin/domains/shop")
    serve_adapter(process.http, "shop", store.adapter.path)
    assert put(process.http, TOOLS).status_code == 200
    return process


@pytest.fixture
def redis_client(service: ServiceProcess, disk: SmallDisk) -> Iterator[redis.Redis]:
    assert service.runs
    with redis.Redis(unix_socket_path=str(disk.path / "redis" / "redis.sock"), socket_timeout=30) as client:
        yield client


def test_a_full_disk_stops_writing_alone_and_keeps_what_was_acknowledged(
    service: ServiceProcess, disk: SmallDisk, store: TinyStore, redis_client: redis.Redis
) -> None:
    acknowledged = dict(TOOLS)
    disk.fill(but_bytes=2 * PAGE)
    assert put_one(service.http, "more-0", "more 0").status_code == 201  # before the log takes what room there is
    acknowledged["more-0"] = "more 0"
    with Load(lambda: service.url, recommend, clients=2) as load:
        for number in range(1, 1000):
            answer = put_one(service.http, f"more-{number}", f"more {number}")
            if answer.status_code != 201:
                break
            acknowledged[f"more-{number}"] = f"more {number}"
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert answer.json()["type"] == "urn:vqrec:problem:redis-unavailable"
        refused = put(service.http, texts(20))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20, "recommending goes on")
        disk.clear()
        wait_until(lambda: put(service.http, acknowledged).is_success, "it takes writes again")
    load.assert_no_failure()
    service.until_well()
    stored = {item_id.decode() for item_id in redis_client.hkeys("vqrec:{shop}:items")}
    unanswered = {f"more-{number}": f"more {number}", **texts(20)}
    assert stored - acknowledged.keys() <= unanswered.keys()  # of these nothing was said
    kept = {item_id: {**unanswered, **acknowledged}[item_id] for item_id in stored}
    assert_stored(redis_client, store, store.load_adapter(), kept)
    assert details(service.http)["items"] == len(stored)


def test_a_rewrite_of_the_append_only_file_that_finds_no_room_leaves_nothing(
    service: ServiceProcess, disk: SmallDisk, redis_client: redis.Redis
) -> None:
    assert put(service.http, texts(200)).status_code == 200
    disk.fill(but_bytes=3 * PAGE)
    redis_client.bgrewriteaof()
    wait_until(lambda: redis_client.info("persistence")["aof_last_bgrewrite_status"] == "err", "it has failed")
    assert _files(disk, "redis") == {"appendonly.aof", "lock", "redis.log", "redis.sock"}
    assert put_one(service.http, "saw", "another saw").status_code == 200
    disk.clear()
    redis_client.bgrewriteaof()
    wait_until(lambda: redis_client.info("persistence")["aof_last_bgrewrite_status"] == "ok", "it is rewritten")


def test_an_adapter_that_finds_no_room_is_refused_and_leaves_nothing(
    service: ServiceProcess, disk: SmallDisk, published: Path, tmp_path: Path
) -> None:
    there = write_tiny_adapter(write_tiny_store(tmp_path / "elsewhere"), seed=7)
    there.path.rename(published / "new")
    before = recommended(service.http)
    disk.fill(but_bytes=2 * PAGE)
    refused = service.http.put("/v1/admin/domains/shop/adapter", json={"source": f"file://{published}/new"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30"), refused.text
    assert "the data directory cannot take the adapter: No space left on device" in refused.json()["detail"]
    assert _files(disk, "adapters") == set()
    assert recommended(service.http) == before

    disk.clear()
    assert serve_adapter(service.http, "shop", f"file://{published}/new") == there.version
    assert _files(disk, "adapters") == {there.version}


def test_a_backup_that_finds_no_room_leaves_nothing(service: ServiceProcess, disk: SmallDisk, store: TinyStore) -> None:
    assert put(service.http, texts(200)).status_code == 200
    out = disk.path / "backups" / "today"
    out.parent.mkdir()
    for room in (0, 4 * PAGE):
        disk.fill(but_bytes=room)
        _assert_no_room(_vqrec(disk, "backup", "--out", disk.folder / "backups" / "today", "--artifacts", store.root))
        assert _files(disk, "backups") == set()
    disk.clear()
    made = _vqrec(disk, "backup", "--out", disk.folder / "backups" / "today", "--artifacts", store.root)
    assert made.returncode == 0, made.stderr
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True)  # noqa: S607


def test_a_restore_that_finds_no_room_for_artifacts_leaves_nothing(
    service: ServiceProcess, disk: SmallDisk, store: TinyStore, redis_client: redis.Redis, tmp_path: Path
) -> None:
    made = _vqrec(disk, "backup", "--out", tmp_path / "backup", "--with-artifacts", "--artifacts", store.root)
    assert made.returncode == 0, made.stderr
    assert service.http.delete("/v1/admin/domains/shop").status_code == 204
    root = disk.folder / "root"
    restore = ("restore", "--from", tmp_path / "backup", "--domain", "shop", "--with-artifacts", "--artifacts", root)
    disk.fill(but_bytes=4 * PAGE)
    _assert_no_room(_vqrec(disk, *restore))
    assert not redis_client.keys("vqrec:{shop}:*")
    left = {path.name for path in (disk.path / "root").glob("*/**/") if path.is_dir()}
    assert left <= {"adapters", "shop", store.adapter.version, "backbones", "text-encoders"}  # whole ones alone
    disk.clear()
    restored = _vqrec(disk, *restore)
    assert restored.returncode == 0, restored.stderr
    wait_until(lambda: details(service.http).get("items") == len(TOOLS), "it is served again")


def test_a_log_that_finds_no_room_loses_lines_and_says_how_many(service: ServiceProcess, disk: SmallDisk) -> None:
    def is_logged(path: str) -> bool:
        return f'"path":"{path}"' in service.log

    service.http.get("/v1/before")
    wait_until(lambda: is_logged("/v1/before"), "the log is written")
    disk.fill()
    for number in range(300):  # more than what is left of the page in which the log ends
        service.http.get(f"/v1/lost-{number}")
    assert recommended(service.http)
    disk.clear()
    service.http.get("/v1/after")
    wait_until(lambda: is_logged("/v1/after"), "the log is written again")
    written_before, _, since = service.log.partition('"path":"/v1/before"')
    assert written_before
    lines = [json.loads(line) for line in since.splitlines()[1:]]
    (lost,) = [line["lines"] for line in lines if line["event"] == "log-lines-lost"]
    written = [line for line in lines if line.get("path", "").startswith("/v1/lost-")]
    assert lost + len(written) >= 300


def _vqrec(disk: SmallDisk, *words: object) -> subprocess.CompletedProcess[str]:
    command = disk.inside(str(VQREC), *map(str, words), "--data-dir", str(disk.folder))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _assert_no_room(failed: subprocess.CompletedProcess[str]) -> None:
    """It says so in one line."""
    assert (failed.returncode, failed.stdout) == (1, ""), failed.stderr
    assert failed.stderr.splitlines()[-1].endswith("No space left on device"), failed.stderr
    assert "Traceback" not in failed.stderr


def _files(disk: SmallDisk, folder: str) -> set[str]:
    return {path.name for path in (disk.path / folder).iterdir()}
