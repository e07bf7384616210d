"""Schemathesis over the whole published schema, every check on: with keys and without, in every phase that it has."""

import json
import shutil
import subprocess
import sys
from base64 import b64decode
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.served import ServedShop, served_shop
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

REPOSITORY = Path(__file__).parents[2]
CONFIGURATION = "tests/fuzz/schemathesis.toml"
KEY = "a-key-for-every-scope"
ITEMS = ("hammer", "saw", "A/1", "道具")
# What may end a call with 5xx: what is not built, what another case made a moment ago, what was given no time.
EXPECTED_5XX = {f"urn:vqrec:problem:{slug}" for slug in ("not-available-yet", "domain-loading", "deadline-passed")}
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
}


@dataclass(frozen=True)
class Size:
    """How many examples a call gets in each phase; how many cases must come of it on each of the two services, and how
    many of the schema's links must have led to an answer of 2xx."""

    examples: int
    cases: int
    links: int
    phases: str


SUITE = Size(examples=2, cases=12, links=8, phases="examples,stateful")  # what makes the others takes longest
FULL = Size(examples=25, cases=1500, links=25, phases="examples,coverage,fuzzing,stateful")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("key", [None, KEY], ids=["without keys", "with keys"])
def test_every_answer_is_one_that_the_schema_declares(key: str | None, tmp_path: Path, full_size: bool) -> None:
    size = FULL if full_size else SUITE
    store = write_tiny_store(tmp_path / "artifacts")
    with served_shop(store.root, tmp_path / "service", key) as shop:
        fill(shop, store)
        report = tmp_path / "report.ndjson"
        done = fuzz(shop, size, report)
        assert shop.send("GET", "/readyz").json()["status"] == "ready"
    answers, checks, links = read_report(report)
    print(f"{len(links)} links led to an answer of 2xx")
    print(f"{len(answers)} cases: {dict(sorted(Counter(answer['status_code'] for _, answer in answers).items()))}")
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert len(answers) >= size.cases
    assert len(links) >= size.links, links
    assert checks >= (CHECKS if key else CHECKS - {"ignored_auth"})
    assert {problem_of(answer) for _, answer in answers if answer["status_code"] >= 500} <= EXPECTED_5XX
    assert "unforeseen-error" not in shop.log.read_text()
    statuses = defaultdict(set)
    for label, answer in answers:
        statuses[label].add(answer["status_code"])
    if full_size:
        assert [label for label, found in statuses.items() if min(found) >= 300] == [], "a call never succeeded"


def fill(shop: ServedShop, store: TinyStore) -> None:
    """Serve a shop with some items, of which an adapter is there to roll back to."""
    for name, adapter in (("one", write_tiny_adapter(store, seed=1, popularity={"saw": 3})), ("two", store.adapter)):
        shutil.copytree(adapter.path, store.root / "adapters" / "shop" / name)
        shop.serve("shop", f"adapters/shop/{name}")
    shop.serve("doomed", "adapters/shop/one")
    shop.send(
        "POST", "/v1/domains/shop/items:bulk", json=[{"item_id": name, "text": f"{name} of oak"} for name in ITEMS]
    )


def fuzz(shop: ServedShop, size: Size, report: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION]
    command += ["run", f"{shop.url}/openapi.json", "--phases", size.phases]
    command += ["--max-examples", str(size.examples), "--seed", "20"]
    command += ["--report-ndjson-path", str(report)]
    for name, value in shop.headers.items():
        command += ["--header", f"{name}: {value}"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def read_report(report: Path) -> tuple[list[tuple[str, dict[str, Any]]], set[str], set[str]]:
    """Every call that was made with what it was answered; the names of the checks that looked at an answer; and the
    links that were followed to one of 2xx."""
    answers: list[tuple[str, dict[str, Any]]] = []
    checks: set[str] = set()
    links: set[str] = set()
    with report.open() as lines:  # one a scenario, some of many megabytes
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            responses = {
                name: interaction["response"]
                for name, interaction in recorder.get("interactions", {}).items()
                if interaction.get("response")
            }
            answers += [(recorder["label"], response) for response in responses.values()]
            links |= {
                case["transition"]["id"]
                for name, case in recorder.get("cases", {}).items()
                if case.get("is_transition_applied") and responses.get(name, {}).get("status_code", 0) // 100 == 2
            }
            checks |= {check["name"] for made in recorder.get("checks", {}).values() for check in made}
    return answers, checks, links


def problem_of(answer: dict[str, Any]) -> str:
    problem: str = json.loads(b64decode(answer["content"]["$base64"])).get("type", "no problem document")
    return problem
