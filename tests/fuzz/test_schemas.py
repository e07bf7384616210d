"""What the published schema calls valid is taken, and nothing else: both are asked about the same random bodies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from service.admin.schemas import AdapterRequest
from service.app import create_app
from service.catalog.filters import Filter
from service.items.schemas import ItemBody, ItemPatch
from service.recommend.schemas import BatchRequest, HistoryEntry, RecommendRequest
from tests.fuzz.strategies import attributes, changes, filters, item_ids, items, json_values, recommendation_requests
from tests.running_service import make_settings

UNREADABLE = st.sampled_from(["", " ", "\n\u3000", "\u200b", "\u200b \u00ad", "\0", "a\0", "\x85", "x" * 300])
SOMETHING = json_values() | UNREADABLE | st.lists(UNREADABLE, max_size=2) | st.lists(st.text(max_size=3), max_size=2)


def spoiled(values: st.SearchStrategy[dict[str, Any]], fields: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of which some fields are left out, and some are anything."""
    names = st.sampled_from([*fields.model_fields, "unknown"])
    return st.builds(
        lambda value, more, without: {name: one for name, one in {**value, **more}.items() if name not in without},
        values,
        st.dictionaries(names, SOMETHING | attributes() | filters(), max_size=2),
        st.sets(names, max_size=2),
    )


def in_full(body: dict[str, Any]) -> None:
    ItemBody.model_validate(body).record()


def spoiled_filters() -> st.SearchStrategy[dict[str, Any]]:
    operators = st.sampled_from(["any", "all", "none", "gt", "lte", "lq"])
    return st.dictionaries(
        st.text(max_size=3), SOMETHING | st.dictionaries(operators, SOMETHING, max_size=2), max_size=2
    )


HISTORIES = recommendation_requests()
ENTRIES = st.dictionaries(st.sampled_from(["item_id", "text", "id"]), SOMETHING, max_size=2)
BATCHES = st.builds(lambda requests: {"requests": requests}, st.lists(HISTORIES, max_size=2) | json_values())
NAMED = st.builds(lambda item, item_id: {**item, "item_id": item_id}, items(), item_ids() | UNREADABLE)
PATCHES = st.fixed_dictionaries({}, optional={"attributes": changes(), "available": st.booleans()})
ADAPTERS = st.fixed_dictionaries({"source": st.text(min_size=1, max_size=20)}, optional={"dry_run": st.booleans()})

CASES: dict[str, tuple[str, Callable[[Any], object], st.SearchStrategy[Any]]] = {
    "items": ("ItemBody", in_full, items() | spoiled(items(), ItemBody) | spoiled(NAMED, ItemBody)),
    "patches": ("ItemPatch", ItemPatch.model_validate, spoiled(PATCHES, ItemPatch)),
    "requests": ("RecommendRequest", RecommendRequest.model_validate, HISTORIES | spoiled(HISTORIES, RecommendRequest)),
    "filters": ("Filter", Filter.model_validate, filters() | spoiled_filters() | json_values()),
    "histories": ("HistoryEntry", HistoryEntry.model_validate, SOMETHING | ENTRIES),
    "batches": ("BatchRequest", BatchRequest.model_validate, BATCHES),
    "adapters": ("AdapterRequest", AdapterRequest.model_validate, spoiled(ADAPTERS, AdapterRequest)),
}


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("service")
    published: dict[str, Any] = create_app(make_settings(folder / "artifacts", folder / "data")).openapi()
    return dict(published["components"])


@pytest.mark.parametrize("name", CASES)
def test_schema_and_service_agree(components: dict[str, Any], name: str) -> None:
    component, take, values = CASES[name]
    schema = jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{component}", "components": components})
    outcomes = {True: 0, False: 0}

    @given(values)
    def agree(value: Any) -> None:
        fits = schema.is_valid(value)
        outcomes[fits] += 1
        assert fits is taken(take, value)

    agree()
    assert min(outcomes.values()) > 0, outcomes  # else one side was never asked


def taken(take: Callable[[Any], object], value: Any) -> bool:
    try:
        take(value)
    except ValueError:  # pydantic's and that of an item without text
        return False
    return True
