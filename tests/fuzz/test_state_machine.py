"""Put, patch, delete, recommend, swap, rollback and restart, in any order, against a model in plain Python."""

import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.catalog.stream import StreamId
from tests.fuzz.laboratory import Laboratory, in_a_path
from tests.fuzz.shop_model import Item, ShopModel, collapsed
from tests.fuzz.strategies import (
    POPULARITY,
    alike,
    changes,
    item_ids,
    items,
    known_ids,
    recommendation_requests,
    requests_at_edges,
    requests_for,
)
from tests.tiny_models import write_tiny_store

ADAPTERS = st.integers(0, 2)
JSON, NDJSON = "application/json", "application/x-ndjson"

INVALID: tuple[tuple[str, str, Any, int], ...] = (
    ("POST", "/recommendations", {"history": []}, 422),
    ("POST", "/recommendations", {"history": ["B001"], "limit": 0}, 422),
    ("POST", "/recommendations", {"history": ["B001"], "filter": {"a": {"lq": 1}}}, 422),
    ("POST", "/recommendations", {"history": ["B001"], "explain": True}, 501),
    ("PUT", "/items/B001", {"text": " \u200b "}, 422),
    ("PUT", "/items/B001", {"text": "a", "item_id": "B002"}, 422),
    ("PUT", "/items/B001", {"text": "a", "attributes": {"a": None}}, 422),
    ("PUT", "/items/%0A", {"text": "a"}, 400),
    ("PATCH", "/items/B001", {}, 422),
    ("PATCH", "/items/never%20put", {"available": False}, 404),
    ("DELETE", "/items/never%20put", None, 404),
    ("GET", "/items/never%20put/similar", None, 404),
    ("POST", "/items:bulk", {"item_id": "B001", "text": "no array"}, 400),
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder: Path = tmp_path_factory.mktemp("laboratory")
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # of 30,000 requests
    with Laboratory(write_tiny_store(folder / "artifacts"), folder, POPULARITY) as running:
        yield running
    structlog.configure(**before)


class ShopMachine(RuleBasedStateMachine):
    """One shop from its first adapter to its deletion. Every answer is compared as it comes."""

    runs = itertools.count(1)
    most_restarts = 2

    def __init__(self, laboratory: Laboratory) -> None:
        super().__init__()
        self.laboratory = laboratory
        self.domain = f"shop-{next(self.runs)}"
        self.restarts = 0

    @property
    def base(self) -> str:
        return f"/v1/domains/{self.domain}"

    @property
    def admin(self) -> str:
        return f"/v1/admin/domains/{self.domain}"

    @initialize(first=ADAPTERS, catalogue=st.lists(st.tuples(item_ids(), items()), max_size=16))
    def open(self, first: int, catalogue: list[Any]) -> None:
        self.model = ShopModel(self.laboratory.adapters[first])
        self.accepted(self.send("PUT", f"{self.admin}/adapter", json={"source": self.model.adapter.source}))
        self.bulk(catalogue, as_lines=True)
        self.answers_at_once()

    @rule(item_id=item_ids(), body=items(), in_body=st.booleans())
    def put(self, item_id: str, body: dict[str, Any], in_body: bool) -> None:
        named = {**body, "item_id": item_id} if in_body else body
        answer = self.send("PUT", f"{self.base}/items/{in_a_path(item_id)}", json=named)
        expected = self.model.put(item_id, stored(body))
        assert (answer.status_code, answer.json()["status"]) == (201 if expected == "created" else 200, expected)
        assert answer.json()["item_id"] == item_id
        self.has_version(item_id, answer.json()["version"], changed=expected != "unchanged")

    @rule(data=st.data(), available=st.booleans())
    def put_again(self, data: st.DataObject, available: bool) -> None:
        item_id = data.draw(st.sampled_from([*self.model.items, "B001"]))
        item = self.model.items.get(item_id, Item("oak"))
        attributes = data.draw(alike(item.attributes))
        self.put(item_id, {"text": f" {item.text}\n", "attributes": attributes, "available": available}, in_body=False)

    @rule(
        entries=st.lists(
            st.tuples(item_ids(), items()) | st.sampled_from([5, {"text": "nameless"}, {"item_id": "x"}]), max_size=8
        ),
        as_lines=st.booleans(),
    )
    def bulk(self, entries: list[Any], as_lines: bool) -> None:
        values = [{"item_id": one[0], **one[1]} if isinstance(one, tuple) else one for one in entries]
        content = "\n".join(map(json.dumps, values)) if as_lines else json.dumps(values)
        headers = {"content-type": NDJSON if as_lines else JSON}
        answer = self.send("POST", f"{self.base}/items:bulk", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        before = dict(self.model.items)
        expected = [self.model.put(one[0], stored(one[1])) if isinstance(one, tuple) else "invalid" for one in entries]
        results = answer.json()["results"]
        assert [result["status"] for result in results] == expected
        versions = {result["item_id"]: result["version"] for result in results if "version" in result}
        assert all(versions[result["item_id"]] == result["version"] for result in results if "version" in result)
        for item_id, version in versions.items():
            was = before.get(item_id)
            self.has_version(item_id, version, was is None or was.as_json != self.model.items[item_id].as_json)

    @rule(item_id=item_ids(), attributes=st.none() | changes(), available=st.none() | st.booleans())
    def patch(self, item_id: str, attributes: dict[str, Any] | None, available: bool | None) -> None:
        body = {"attributes": attributes, "available": available}
        answer = self.send("PATCH", f"{self.base}/items/{in_a_path(item_id)}", json=body)
        if attributes is None and available is None:
            assert answer.status_code == 422
        elif item_id not in self.model.items:
            assert answer.status_code == 404
        else:
            expected = self.model.patch(item_id, attributes, available)
            assert (answer.status_code, answer.json()["status"]) == (200, expected)
            self.has_version(item_id, answer.json()["version"], changed=expected != "unchanged")

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        item_id = data.draw(known_ids(self.model.items))
        answer = self.send("DELETE", f"{self.base}/items/{in_a_path(item_id)}")
        assert answer.status_code == (204 if self.model.items.pop(item_id, None) else 404)
        self.model.versions.pop(item_id, None)
        assert self.laboratory.keys_with(self.domain, item_id, self.model.adapter.quantizer) == []

    @rule(item_id=item_ids())
    def get(self, item_id: str) -> None:
        answer = self.send("GET", f"{self.base}/items/{in_a_path(item_id)}")
        item = self.model.items.get(item_id)
        if item is None:
            assert answer.status_code == 404
        else:
            found = answer.json()
            assert (found["item_id"], found["version"]) == (item_id, self.model.versions[item_id])
            assert Item(found["text"], found["attributes"], found["available"]).as_json == item.as_json

    @rule(request=recommendation_requests())
    def recommend(self, request: dict[str, Any]) -> None:
        answer = self.send("POST", f"{self.base}/recommendations", json=request)
        assert answer.status_code == 200, answer.text
        self.model.check_recommended(request, answer.json())

    @rule(data=st.data())
    def recommend_what_is_there(self, data: st.DataObject) -> None:
        catalogue = {item_id: item.attributes for item_id, item in self.model.items.items()}
        self.recommend_many(data.draw(st.lists(requests_for(catalogue), min_size=2, max_size=8)))

    @rule(requests=st.lists(recommendation_requests(), min_size=1, max_size=4))
    def recommend_many(self, requests: list[dict[str, Any]]) -> None:
        answer = self.send("POST", f"{self.base}/recommendations:batch", json={"requests": requests})
        assert answer.status_code == 200, answer.text
        for request, result in zip(requests, answer.json()["results"], strict=True):
            self.model.check_recommended(request, result)

    @rule(item_id=item_ids(), limit=st.integers(1, 20))
    def similar(self, item_id: str, limit: int) -> None:
        answer = self.send("GET", f"{self.base}/items/{in_a_path(item_id)}/similar", params={"limit": limit})
        if item_id not in self.model.items:
            assert answer.status_code == 404
        else:
            self.model.check_similar(item_id, limit, answer.json())

    @rule(chosen=ADAPTERS, expects=st.sampled_from(["nothing", "nothing", "this", "another"]), dry_run=st.booleans())
    def swap(self, chosen: int, expects: str, dry_run: bool) -> None:
        adapter = self.laboratory.adapters[chosen]
        body = {"source": adapter.source, "sha256": adapter.bundle.sha256, "dry_run": dry_run}
        if expects != "nothing":
            body["expected_version"] = self.model.adapter.version if expects == "this" else "0" * 12
        answer = self.send("PUT", f"{self.admin}/adapter", json=body)
        if expects == "another":
            assert answer.status_code == 409
        elif dry_run:
            assert answer.json()["action"] == ("nothing" if adapter is self.model.adapter else "replace")
        else:
            self.model.swap(adapter)
            self.accepted(answer)
            self.answers_at_once()

    @rule()
    def roll_back(self) -> None:
        answer = self.send("POST", f"{self.admin}/adapter:rollback")
        if self.model.previous is None:
            assert answer.status_code == 409
        else:
            self.model.swap(self.model.previous)
            self.accepted(answer)
            self.answers_at_once()

    @precondition(lambda self: self.restarts < self.most_restarts)
    @rule()
    def restart(self) -> None:
        self.restarts += 1
        self.laboratory.restart()
        self.answers_at_once()

    @rule()
    def compact(self) -> None:
        self.laboratory.compact(self.domain)
        self.answers_at_once()

    @rule(call=st.sampled_from(INVALID))
    def refuse(self, call: tuple[str, str, Any, int]) -> None:
        method, path, body, status = call
        answer = self.send(method, self.base + path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    @invariant()
    def tells_what_it_serves(self) -> None:
        if hasattr(self, "model"):
            details = self.send("GET", self.base).json()
            assert details["items"] == len(self.model.items)
            assert details["adapter_version"] == self.model.adapter.version
            assert details.get("previous_version") == (self.model.previous.version if self.model.previous else None)
            assert details.get("last_error") is None

    def teardown(self) -> None:
        if hasattr(self, "model"):
            assert self.send("DELETE", self.admin).status_code == 204
            assert self.send("GET", self.base).status_code == 404
            assert self.laboratory.keys(f"vqrec:{{{self.domain}}}:*") == []

    def answers_at_once(self) -> None:
        everything = {"history": [], "fallback": "popular", "return_attributes": True}
        of_some = {"history": sorted(self.model.items)[:3], "exclude_history": False, "fallback": "none"}
        self.recommend_many([everything, of_some, *requests_at_edges(self.model.offered())])

    def send(self, method: str, path: str, **more: Any) -> Any:
        answer = self.laboratory.call(method, path, **more)
        assert answer.status_code < 500 or answer.status_code == 501, answer.text
        return answer

    def has_version(self, item_id: str, version: str, changed: bool) -> None:
        """A change gives an item a newer version, and nothing else does."""
        before = self.model.versions.get(item_id)
        if before is not None:
            assert (StreamId.parse(version) > StreamId.parse(before)) if changed else version == before
        self.model.versions[item_id] = version

    def accepted(self, answer: Any) -> None:
        assert answer.status_code == 202, answer.text
        done = self.laboratory.run(self.laboratory.service.until_finished, answer.headers["location"])
        assert done["state"] == "succeeded", done


def stored(body: dict[str, Any]) -> Item:
    return Item(collapsed(body["text"]), body.get("attributes", {}), body.get("available", True))


@pytest.mark.timeout(3600)
def test_a_shop_is_what_its_model_says(laboratory: Laboratory, full_size: bool) -> None:
    runs, steps = (500, 30) if full_size else (12, 12)
    first = next(ShopMachine.runs)
    run_state_machine_as_test(
        lambda: ShopMachine(laboratory),
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not full_size,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    ran = next(ShopMachine.runs) - first - 1
    print(f"{ran} runs of up to {steps} steps")
    assert ran >= runs
