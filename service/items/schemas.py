"""What an item may say, and what a caller is told about it."""

import json
import sys
import unicodedata
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from models.errors import InvalidItemError
from models.item_text import MAX_TEXT, TEXT_FIELDS, compose_text, text_sha256
from service.catalog.item import AttributeValue
from service.catalog.record import ItemRecord
from service.openapi import link_to
from service.readable import BLANK_PATTERN, NAME_PATTERN, READABLE_PATTERN, is_readable
from service.strict_model import StrictModel

MAX_ATTRIBUTES = 64
MAX_PATCHED = 2 * MAX_ATTRIBUTES  # all of them deleted, and as many others set
MAX_ATTRIBUTE_TEXT = 1_000
MAX_ATTRIBUTE_LIST = 100
MAX_LISTED_TEXT = 50_000

_ATTRIBUTE_RULE = (
    f"expected a string of at most {MAX_ATTRIBUTE_TEXT} characters, true or false, a finite number, "
    f"or a list of at most {MAX_ATTRIBUTE_LIST} such strings"
)

_LISTED_RULE = f"the lists of all attributes together may hold {MAX_LISTED_TEXT} characters"

Status = Literal["created", "updated", "unchanged"]


def _readable(name: str) -> str:
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name) or not name.strip():
        raise PydanticCustomError("unreadable_name", "expected readable characters, none of them control characters")
    return name


def _attribute(value: object) -> AttributeValue:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_ATTRIBUTE_TEXT):
        return value
    if isinstance(value, int) and abs(value) <= sys.float_info.max:  # to JSON 10**30 and 1e30 are one number
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, list) and len(value) <= MAX_ATTRIBUTE_LIST and all(map(_is_short, value)):
        return value
    raise PydanticCustomError("attribute", _ATTRIBUTE_RULE)


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ATTRIBUTE_TEXT


def _listed_text(attributes: Mapping[str, AttributeValue | None]) -> int:
    return sum(len(text) for value in attributes.values() if isinstance(value, list) for text in value)


def _short_in_all(attributes: dict[str, AttributeValue | None]) -> dict[str, AttributeValue | None]:
    if _listed_text(attributes) > MAX_LISTED_TEXT:
        raise PydanticCustomError("listed_text", _LISTED_RULE)
    return attributes


_STRING = {"type": "string", "maxLength": MAX_ATTRIBUTE_TEXT}
_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _STRING,
        {"type": "boolean"},
        {"type": "number"},
        {"type": "array", "items": _STRING, "maxItems": MAX_ATTRIBUTE_LIST},
    ]
}
_NAME: dict[str, Any] = {"pattern": NAME_PATTERN}
_NAMES: dict[str, Any] = {"propertyNames": {"minLength": 1, "maxLength": 64, **_NAME}}

ItemId = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=_NAME), AfterValidator(_readable)]
AttributeName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_readable)]
Attribute = Annotated[AttributeValue, PlainValidator(_attribute), WithJsonSchema(_SCHEMA)]
Attributes = Annotated[
    dict[AttributeName, Attribute],
    Field(max_length=MAX_ATTRIBUTES, json_schema_extra=_NAMES),
    AfterValidator(_short_in_all),
]
PatchedAttributes = Annotated[
    dict[AttributeName, Attribute | None],
    Field(max_length=MAX_PATCHED, json_schema_extra=_NAMES),
    AfterValidator(_short_in_all),
]
Words = Annotated[str, Field(max_length=MAX_TEXT)]


_READABLE = {"type": "string", "pattern": READABLE_PATTERN}
_NO_TEXT = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": BLANK_PATTERN}]}
_READABLE_LIST = {"type": "array", "contains": _READABLE}


def _composed_of(field: str, *kinds: dict[str, Any]) -> dict[str, Any]:
    readable: dict[str, Any] = {"anyOf": list(kinds)} if len(kinds) > 1 else kinds[0]
    return {"required": [field], "properties": {field: readable, **({} if field == "text" else {"text": _NO_TEXT})}}


# What :meth:`ItemBody.record` asks for.
_HAS_TEXT: dict[str, Any] = {
    "anyOf": [
        _composed_of("text", _READABLE),
        *(_composed_of(field, _READABLE) for field in ("title", "brand", "description")),
        _composed_of("categories", _READABLE, _READABLE_LIST),
    ]
}


class ItemBody(StrictModel):
    """An item as a shop tells it: ``text``, or what a text is made of."""

    model_config = ConfigDict(
        json_schema_extra={
            **_HAS_TEXT,
            "examples": [
                {
                    "title": "Kestrel & Sons ultralight climbing helmet",
                    "brand": "Kestrel & Sons",
                    "categories": ["outdoor", "climbing", "protection"],
                    "attributes": {"category": "protection", "price": 59.9, "in_stock": True},
                }
            ],
        }
    )

    item_id: ItemId | None = Field(None, description="may be left out where the path tells it")
    text: Words | None = None
    title: Words | None = None
    brand: Words | None = None
    categories: Words | Annotated[list[Words], Field(max_length=MAX_ATTRIBUTE_LIST)] | None = None
    description: Words | None = None
    attributes: Attributes = Field(default_factory=dict, description="what filters look at")
    available: bool = Field(True, description="an unavailable item is never recommended")

    def record(self) -> ItemRecord:
        """The item as it is stored.

        Raises:
            InvalidItemError: if there is no text.
        """
        text = compose_text(self.model_dump(include={"text", *TEXT_FIELDS}))
        if not is_readable(text):
            raise InvalidItemError("the item has no text: it holds no readable character")
        return ItemRecord(
            text=text, text_sha256=text_sha256(text), attributes=self.attributes, available=self.available
        )


_OF_A_BULK = {"allOf": [{"$ref": "#/components/schemas/ItemBody"}], "required": ["item_id"]}

# For FastAPI(openapi_extra=…), since the body of a bulk is read by hand.
BULK_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": _OF_A_BULK}},
            "application/x-ndjson": {
                "schema": {**_OF_A_BULK, "description": "What each line holds."},
                "example": {"item_id": "A/1", "text": "waterproof rucksack", "attributes": {"price": 89.5}},
            },
        },
    }
}


_STORED = {"domain": "$request.path.domain", "item_id": "$request.path.item_id"}

# For FastAPI(responses=…): where an item goes that was put.
STORED_LINKS: Final[dict[str, Any]] = {
    "item": link_to("get_item", **_STORED),
    "similar": link_to("similar", **_STORED),
    "change": link_to("patch_item", **_STORED),
    "removal": link_to("delete_item", **_STORED),
}


class ItemPatch(StrictModel):
    """What changes without encoding again."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["attributes"], "properties": {"attributes": {"type": "object"}}},
                {"required": ["available"], "properties": {"available": {"type": "boolean"}}},
            ],
            "examples": [{"attributes": {"price": 49.9, "in_stock": None}, "available": False}],
        }
    )

    attributes: PatchedAttributes | None = Field(None, description="merged; null deletes a key")
    available: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ItemPatch":
        if self.attributes is None and self.available is None:
            raise PydanticCustomError("empty_patch", "give `attributes`, `available` or both")
        return self

    def applied_to(self, record: ItemRecord) -> ItemRecord:
        """The record after this patch.

        Raises:
            InvalidItemError: if it would have too many attributes, or too much in their lists.
        """
        merged = {**record.attributes, **(self.attributes or {})}
        attributes = {name: value for name, value in merged.items() if value is not None}
        if len(attributes) > MAX_ATTRIBUTES:
            raise InvalidItemError(
                f"an item may have {MAX_ATTRIBUTES} attributes, this one would have {len(attributes)}"
            )
        if self.attributes and _listed_text(attributes) > MAX_LISTED_TEXT:
            raise InvalidItemError(_LISTED_RULE)
        available = record.available if self.available is None else self.available
        return record.model_copy(update={"attributes": attributes, "available": available})


class ItemAnswer(BaseModel):
    """An item as it is stored."""

    item_id: str
    text: str
    attributes: dict[str, AttributeValue]
    available: bool
    version: str


class WriteAnswer(BaseModel):
    """What became of one item that was put or patched."""

    item_id: str
    status: Status
    version: str


class BulkResult(BaseModel):
    """What became of one item of a bulk; ``index`` counts from 0."""

    index: int
    item_id: str | None = None
    status: Status | Literal["invalid"]
    version: str | None = None
    error: str | None = None


class BulkAnswer(BaseModel):
    """What became of a bulk, in the order in which it was sent."""

    results: list[BulkResult]
    created: int
    updated: int
    unchanged: int
    invalid: int


def same(one: ItemRecord, other: ItemRecord) -> bool:
    """Whether two records say the same. Compared as JSON in the end, since to Python 1, 1.0 and True are equal."""
    mine, others = one.attributes, other.attributes
    if (one.text, one.available, mine) != (other.text, other.available, others):
        return False
    return not mine or json.dumps(mine, sort_keys=True) == json.dumps(others, sort_keys=True)
