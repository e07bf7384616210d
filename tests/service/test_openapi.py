"""The published schema says what the service takes and answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from tests.running_service import make_settings

REQUEST = {"$ref": "#/components/schemas/RecommendRequest"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


@pytest.fixture
def published(tmp_path: Path) -> dict[str, Any]:
    return create_app(make_settings(tmp_path / "artifacts", tmp_path / "data")).openapi()


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 3, "return_attributes": True},
        {"history": [{"item_id": "OUT0059"}, {"text": "a light helmet"}]},
        {"filter": {"category": ["protection", "safety"], "in_stock": True, "price": {"lte": 150}}},
        {"filter": {"category": "safety", "price": {"gte": 5, "lt": 20.5}, "colour": {"any": ["a"], "none": ["c"]}}},
    ],
)
def test_a_documented_request_fits(published: dict[str, Any], change: dict[str, object]) -> None:
    assert fits(published, REQUEST, {"history": ["OUT0059", "OUT0163"], **change})


@pytest.mark.parametrize(
    "change",
    [
        {"history": [1]},
        {"history": [{}]},
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
    assert not fits(published, REQUEST, {"history": ["OUT0059"], **change})


def test_every_call_may_be_answered_with_a_problem_document(published: dict[str, Any]) -> None:
    for operations in published["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            assert "422" not in operation["responses"]


def test_what_the_schema_refers_to_is_there(published: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(published)))
    assert {"Problem", "Fault"} <= named <= published["components"]["schemas"].keys()


def fits(published: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether ``value`` fits, by the few keywords that tell the shapes apart."""
    if "$ref" in schema:
        return fits(published, published["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value)
    if "anyOf" in schema:
        return any(fits(published, each, value) for each in schema["anyOf"])
    if not isinstance(value, _TYPES[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(fits(published, schema["items"], one) for one in value)
    return not isinstance(value, dict) or _object_fits(published, schema, value)


def _object_fits(published: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> bool:
    if len(value) < schema.get("minProperties", 0) or not value.keys() >= set(schema.get("required", [])):
        return False
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    return all(
        fits(published, known[name], one)
        if name in known
        else isinstance(others, dict) and fits(published, others, one)
        for name, one in value.items()
    )
