"""Two replicas on one Redis: one sleeps, both are asked at once, one lacks what the other has."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.bundle import Bundle
from models.manifest import AdapterManifest
from tests.integration.faults.conftest import Pair
from tests.integration.faults.load import Load, recommend
from tests.integration.faults.shop import KEYS, TOOLS, choose, details, put, recommended, serves, texts
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import TinyStore, write_tiny_adapter
from training.local_service import serve_adapter


def test_a_replica_that_slept_longer_than_changes_are_kept_catches_up(pair: Pair) -> None:
    first, second, redis = pair
    reloads = second.log.count("catalogue-reloaded")
    second.pause()
    put(first.http, texts(900))
    assert first.http.delete("/v1/domains/shop/items/item-0").status_code == 204
    assert redis.client.xlen(KEYS.changes) < 400
    second.resume()
    wait_until(lambda: details(second.http)["items"] == len(TOOLS) + 899, "it has caught up")
    assert recommended(second.http) == recommended(first.http)
    wait_until(lambda: second.log.count("catalogue-reloaded") == reloads + 1, "it has loaded the catalogue anew")
    second.until_well()


@pytest.mark.parametrize("guarded", [True, False], ids=["expected_version", "unguarded"])
def test_of_two_admins_at_two_replicas_one_wins_everywhere(pair: Pair, store: TinyStore, guarded: bool) -> None:
    with ThreadPoolExecutor(2) as admins, Load(lambda: pair.first.url, recommend, clients=2) as load:
        for round_ in range(4):
            served = details(pair.first.http)["adapter_version"]
            rivals = [write_tiny_adapter(store, seed=10 * round_ + place, quantizer_seed=place) for place in (1, 2)]
            expected = {"expected_version": served} if guarded else {}
            calls = [
                admins.submit(choose, replica.http, rival.path, **expected)
                for replica, rival in zip(pair.services, rivals, strict=True)
            ]
            answers = [call.result() for call in calls]
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [202, 409] or (not guarded and statuses == [202, 202]), statuses
            accepted = [answer.headers["location"] for answer in answers if answer.status_code == 202]
            _until_settled(pair, accepted)
            _until_agreed(pair, rivals)
    load.assert_no_failure()


def _until_settled(pair: Pair, operations: list[str]) -> None:
    """Wait until each operation has ended, and every replica says so."""
    for operation in operations:
        for replica in pair.services:
            wait_until(
                lambda replica=replica, operation=operation: (
                    replica.http.get(operation).json()["state"] in ("succeeded", "failed")
                ),
                f"{operation} has ended",
            )


def _until_agreed(pair: Pair, rivals: list[Bundle[AdapterManifest]]) -> None:
    versions = {rival.version for rival in rivals}

    def agreed() -> bool:
        first, second = (details(replica.http) for replica in pair.services)
        wanted = first.get("wanted_version") or second.get("wanted_version")
        return first["adapter_version"] == second["adapter_version"] in versions and wanted is None

    wait_until(agreed, "both serve the same adapter")
    assert recommended(pair.first.http) == recommended(pair.second.http)


def test_an_adapter_that_was_deleted_is_served_on_and_missed_by_name_after_a_restart(
    pair: Pair, store: TinyStore, tmp_path: Path
) -> None:
    first, second, _ = pair
    garden = write_tiny_adapter(store, seed=5, domain="garden")
    serve_adapter(first.http, "garden", garden.path)
    put(first.http, TOOLS, "garden")
    wait_until(lambda: serves(second.http, "hammer", "garden"), "both serve the garden")
    before = recommended(first.http, "garden")

    shutil.move(garden.path, tmp_path / "away")
    put(first.http, {"rake": "garden rake"}, "garden")
    assert len(recommended(first.http, "garden")) == len(before) + 1
    second.kill()
    second.start()
    second.until_ready()
    code, status, reasons = second.readiness()
    assert (code, status) == (200, "degraded")
    assert f"domain garden: adapter {garden.version} failed: there is no artifact at" in reasons
    assert serves(second.http, "hammer")
    missing = second.http.post("/v1/domains/garden/recommendations", json={"history": ["hammer"]})
    assert (missing.status_code, missing.json()["type"]) == (503, "urn:vqrec:problem:domain-loading")
    assert serves(first.http, "hammer", "garden")

    shutil.move(tmp_path / "away", garden.path)
    wait_until(lambda: serves(second.http, "hammer", "garden"), "it is served once it is back")
    assert recommended(second.http, "garden") == recommended(first.http, "garden")
    assert first.http.delete("/v1/admin/domains/garden").status_code == 204
