"""The published schema says what the service takes and answers, who may ask and how it may fail."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from models.errors import VqrecError
from service.app import create_app
from service.errors import ConfigurationError
from tests.running_service import make_settings

REST = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
PROBLEMS = "application/problem+json"
HEALTH = {"livez", "readyz", "metrics"}
# No call ends with these: others derive from it, or the service does not start.
UNSEEN = {VqrecError, ConfigurationError}


def publish(folder: Path, **more: object) -> dict[str, Any]:
    return create_app(make_settings(folder / "artifacts", folder / "data", **more)).openapi()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return publish(tmp_path_factory.mktemp("service"))


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 3, "return_attributes": True},
        {"history": [{"item_id": "OUT0059"}, {"text": "a light helmet"}, {"item_id": "a", "text": None}]},
        {"history": [], "fallback": "none"},
        {"filter": {"category": ["protection", "safety"], "in_stock": True, "price": {"lte": 150}}},
        {"filter": {"category": "safety", "price": {"gte": 5, "lt": 20.5}, "colour": {"any": ["a"], "none": ["c"]}}},
    ],
)
def test_a_documented_request_fits(published: dict[str, Any], change: dict[str, object]) -> None:
    assert fits(published, "RecommendRequest", {"history": ["OUT0059", "OUT0163"], **change})


@pytest.mark.parametrize(
    "change",
    [
        {"history": []},
        {"history": [1]},
        {"history": [{}]},
        {"history": [{"text": "\u200b \n"}]},
        {"history": [{"item_id": "a", "text": "b"}]},
        {"filter": {"price": {}}},
        {"filter": {"price": None}},
        {"filter": {"price": []}},
        {"filter": {"price": {"lq": 1}}},
        {"filter": {"price": {"lte": "150"}}},
        {"filter": {"price": {"any": 150}}},
    ],
)
def test_a_request_that_is_refused_does_not_fit(published: dict[str, Any], change: dict[str, object]) -> None:
    assert not fits(published, "RecommendRequest", {"history": ["OUT0059"], **change})


@pytest.mark.parametrize(
    ("item", "as_expected"),
    [
        ({"text": "a"}, True),
        ({"text": " ", "categories": ["", "b"]}, True),
        ({"text": None, "brand": "b"}, True),
        ({}, False),
        ({"text": " \n\u2003"}, False),
        ({"text": "\u200b", "title": "b"}, False),  # a text is a text, readable or not
        ({"categories": [" ", "\u200b"]}, False),
        ({"text": "a", "item_id": " "}, False),
        ({"text": "a", "item_id": "a\nb"}, False),
        ({"text": "a", "attributes": {"a": "x" * 1001}}, False),
        ({"text": "a", "attributes": {"a": None}}, False),
        ({"text": "a", "attributes": {"\u0085": 1}}, False),
    ],
)
def test_an_item_fits_as_it_is_taken(published: dict[str, Any], item: dict[str, object], as_expected: bool) -> None:
    assert fits(published, "ItemBody", item) is as_expected


@pytest.mark.parametrize(
    ("patch", "as_expected"), [({"available": False}, True), ({}, False), ({"attributes": None}, False)]
)
def test_a_patch_fits_as_it_is_taken(published: dict[str, Any], patch: dict[str, object], as_expected: bool) -> None:
    assert fits(published, "ItemPatch", patch) is as_expected


def test_examples_fit_their_schemas(published: dict[str, Any]) -> None:
    with_examples = {
        name: schema for name, schema in published["components"]["schemas"].items() if "examples" in schema
    }
    assert {"ItemBody", "ItemPatch", "RecommendRequest", "AdapterRequest"} <= with_examples.keys()
    for name, schema in with_examples.items():
        assert all(fits(published, name, example) for example in schema["examples"])


def test_every_error_that_a_call_may_end_with_is_declared(published: dict[str, Any]) -> None:
    errors = [kind for kind in every_error(VqrecError) if kind not in UNSEEN]
    declared = {schema["properties"]["type"]["const"]: schema for schema in problem_schemas(published)}
    assert {f"urn:vqrec:problem:{kind.slug}" for kind in errors} == declared.keys()
    for kind in errors:
        schema = declared[f"urn:vqrec:problem:{kind.slug}"]
        assert schema["properties"]["status"]["const"] == kind.status
        assert schema["description"]


def test_every_failure_is_a_problem_of_its_status(published: dict[str, Any]) -> None:
    for operation in operations(published):
        for status, response in operation["responses"].items():
            assert status.isdecimal(), "every status by itself, no catch-all"
            if status < "400" or operation["operationId"] == "readyz":
                continue
            assert response["content"].keys() == {PROBLEMS}
            schema = response["content"][PROBLEMS]["schema"]
            for reference in schema.get("oneOf", [schema]):
                problem = published["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
                assert str(problem["properties"]["status"]["const"]) == status


def test_headers_are_promised(published: dict[str, Any]) -> None:
    for operation in operations(published):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"] or status >= "400"
            assert ("WWW-Authenticate" in response["headers"]) == (status == "401")
            if operation["operationId"] not in HEALTH:
                assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))
            assert ("Location" in response["headers"]) == (status == "202")


def test_calls_are_as_the_documentation_lists_them(published: dict[str, Any], tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(\w+) (/\S*?)` \| (\w+) \| (.+?) \|$", REST, re.MULTILINE)
    assert len(rows) == sum(1 for _ in operations(published))
    with_keys = publish(tmp_path, api_keys="some-long-key:read")
    for method, path, scope, answers in rows:
        operation = published["paths"][path][method.lower()]
        schemes = [] if scope == "none" else [{"ApiKey": [scope]}, {"Bearer": [scope]}]
        assert with_keys["paths"][path][method.lower()].get("security", []) == schemes
        assert operation.get("security", []) == ([{}, *schemes] if schemes else []), "without keys none is asked for"
        successes = {
            status for status, response in operation["responses"].items() if PROBLEMS not in response.get("content", {})
        }
        assert successes == set(re.findall(r"\d{3}", answers)), path


def test_what_the_schema_refers_to_is_there(published: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(published)))
    assert {"Problem", "Fault"} <= named <= published["components"]["schemas"].keys()
    assert not any(name.endswith("ValidationError") for name in published["components"]["schemas"])


def fits(published: dict[str, Any], component: str, value: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{component}", "components": published["components"]}
    return bool(jsonschema_rs.validator_for(schema).is_valid(value))


def operations(published: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for calls in published["paths"].values():
        yield from calls.values()


def problem_schemas(published: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        schema
        for name, schema in published["components"]["schemas"].items()
        if name.endswith("Problem") and "allOf" in schema
    ]


def every_error(error: type[VqrecError]) -> Iterator[type[VqrecError]]:
    if error.__module__.startswith(("models", "service")):
        yield error
        for child in error.__subclasses__():
            yield from every_error(child)
