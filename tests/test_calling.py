"""The pages for a shop's developers, run as they stand there against a service with keys."""

import json
import os
import re
import runpy
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults.processes import ServiceProcess
from tests.integration.faults.waiting import wait_until
from tests.tiny_models import write_tiny_store

DOCS = Path(__file__).parents[1] / "docs"
READ, INGEST, ADMIN, TRIAL = "key-of-the-storefront", "key-of-the-feed", "key-of-the-operator", "key-of-a-developer"
KEYS = f"{READ}:read {INGEST}:ingest {ADMIN}:admin,read {TRIAL}:read,ingest"
ITEMS = [{"item_id": f"A{n}", "text": f"rope of {n} metres", "attributes": {"price": float(n)}} for n in range(1, 8)]

Page = Mapping[str, Any]
"""What the page's program defines."""


def _blocks(language: str, page: str = "calling") -> list[str]:
    text = (DOCS / f"{page}.md").read_text()
    return re.findall(rf"^<!-- test: {page} -->\n```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("calling")
    store = write_tiny_store(folder / "artifacts")
    with ServiceProcess(store.root, folder / "data", {"VQREC_API_KEYS": KEYS}) as service:
        service.until_ready()
        source = str(store.adapter.path.relative_to(store.root))
        headers = {"X-API-Key": ADMIN}
        put = service.http.put("/v1/admin/domains/shop/adapter", json={"source": source}, headers=headers)
        assert put.status_code == 202, put.text
        domain = "/v1/domains/shop"
        wait_until(lambda: "adapter_version" in service.http.get(domain, headers=headers).json(), "the shop is served")
        yield service


@pytest.fixture(scope="module")
def page(service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Page:
    program = tmp_path_factory.mktemp("program") / "shop.py"
    program.write_text("\n\n".join(_blocks("python")))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _environment(service).items():
            environment.setenv(name, value)
        defined: Page = runpy.run_path(str(program))
    _be_patient(defined)
    assert defined["sync"](ITEMS, set()) == {item["item_id"] for item in ITEMS}
    return defined


def test_a_list_names_what_a_shop_logs(page: Page) -> None:
    shown = page["recommend"](["A1", "A2"], limit=3)
    assert len(shown["items"]) == 3
    assert shown["fallback"] is False
    assert shown["request_id"]
    assert shown["adapter_version"]
    assert all(item["source"] == "model" for item in shown["items"])


def test_without_a_history_there_is_something_to_show(page: Page) -> None:
    assert page["recommend"]([])["fallback"] is True


def test_a_view_may_come_again_and_a_purchase_does_not(page: Page) -> None:
    shown = page["recommend"](["A1", "A2"], exclude_history=False, exclude_item_ids=["A2"])
    ids = {item["item_id"] for item in shown["items"]}
    assert "A1" in ids
    assert "A2" not in ids


def test_a_change_is_served_at_once_and_an_item_that_is_unknown_is_left_to_the_next_sync(page: Page) -> None:
    assert page["changed"]("A7", 9.5, False).status_code == 200
    assert "A7" not in {item["item_id"] for item in page["recommend"](["A1"])["items"]}
    assert page["changed"]("A7", 9.5, True).status_code == 200
    assert page["changed"]("nobody/knows it", 1.0, True).status_code == 404


def test_a_night_deletes_what_is_gone_and_stops_where_half_is(page: Page, service: ServiceProcess) -> None:
    known = page["sync"]([*ITEMS, {"item_id": "B/1", "text": "a wall"}], {item["item_id"] for item in ITEMS})
    assert "B/1" in {item["item_id"] for item in page["recommend"](["A1"])["items"]}
    assert page["sync"](ITEMS, known) == known - {"B/1"}
    assert "B/1" not in {item["item_id"] for item in page["recommend"](["A1"])["items"]}
    with pytest.raises(ValueError, match="half of the catalogue"):
        page["sync"](ITEMS[:3], known)
    headers = {"X-API-Key": ADMIN}
    assert service.http.get("/v1/domains/shop", headers=headers).json()["items"] == len(ITEMS)


def test_an_invalid_item_is_logged(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    page["sync"]([*ITEMS, {"item_id": "without-text"}], set())
    assert "without-text" in caplog.text


def test_commands_by_hand(page: Page, service: ServiceProcess) -> None:
    assert page
    shown = _run("calling", _environment(service))
    assert shown.count('"source":"model"') == 3
    assert '"status":"updated"' in shown


def test_calls_to_try_out(page: Page, service: ServiceProcess) -> None:
    assert page
    where = {"URL": service.url, "DOMAIN": "shop", "KEY": TRIAL}
    answers = [json.loads(line) for line in _run("rest", where).splitlines() if line]  # a DELETE has none
    domains, put, bulk, patched, stored, plain, filtered, popular, batch, similar = answers
    assert [domain["domain"] for domain in domains["domains"]] == ["shop"]
    assert (put["status"], bulk["created"], patched["status"]) == ("created", 2, "updated")
    assert stored["attributes"] == {"price": 89.5, "in_stock": True}
    assert len(plain["items"]) == len(popular["items"]) == len(similar["items"]) == 3
    assert "MY-1" in [item["item_id"] for item in filtered["items"]]
    assert all(item["attributes"]["price"] <= 90 for item in filtered["items"])
    assert popular["fallback"] is True
    assert len(batch["results"]) == 2
    assert all(answer["items"] for answer in batch["results"])
    kept = service.http.get("/v1/domains/shop", headers={"X-API-Key": TRIAL}).json()["items"]
    assert kept == len(ITEMS)


def test_a_page_does_without_a_service_that_is_gone(page: Page, service: ServiceProcess) -> None:
    page["shop"].timeout = 0.1
    service.pause()
    try:
        assert [item["item_id"] for item in page["recommend"](["A1"], limit=2)["items"]] == ["A1", "A2"]
    finally:
        service.resume()
    service.kill()
    assert page["recommend"](["A1"])["items"][0]["source"] == "shop"


def _run(page: str, environment: Mapping[str, str]) -> str:
    """What the page's commands print; none may fail."""
    (script,) = _blocks("bash", page)
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _be_patient(page: Page) -> None:
    """A machine on which everything is tested at once may take longer than a shopper waits."""
    assert page["recommend"].__globals__["DEADLINE_MS"] < 1000 * page["shop"].timeout.read
    page["recommend"].__globals__["DEADLINE_MS"] = 60_000
    page["shop"].timeout = 60


def _environment(service: ServiceProcess) -> dict[str, str]:
    return {"VQREC_URL": service.url, "VQREC_READ_KEY": READ, "VQREC_INGEST_KEY": INGEST}
