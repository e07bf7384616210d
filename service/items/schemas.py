"""What an item may say, and what a caller is told about it."""

import json
import unicodedata
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from models.errors import InvalidItemError
from models.item_text import MAX_TEXT, TEXT_FIELDS, compose_text, text_sha256
from service.catalog.item import AttributeValue
from service.catalog.record import ItemRecord
from service.readable import is_readable

MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_TEXT = 1_000
MAX_ATTRIBUTE_LIST = 100
_LARGEST_INTEGER = 2**63 - 1

_ATTRIBUTE_RULE = (
    f"expected a string of at most {MAX_ATTRIBUTE_TEXT} characters, true or false, a finite number, "
    f"or a list of at most {MAX_ATTRIBUTE_LIST} such strings"
)

Status = Literal["created", "updated", "unchanged"]


def _readable(name: str) -> str:
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name) or not name.strip():
        raise PydanticCustomError("unreadable_name", "expected readable characters, none of them control characters")
    return name


def _attribute(value: object) -> AttributeValue:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_ATTRIBUTE_TEXT):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST_INTEGER:
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, list) and len(value) <= MAX_ATTRIBUTE_LIST and all(map(_is_short, value)):
        return value
    raise PydanticCustomError("attribute", _ATTRIBUTE_RULE)


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_ATTRIBUTE_TEXT


_SCHEMA = {"anyOf": [{"type": kind} for kind in ("string", "boolean", "number")] + [{"type": "array"}]}

ItemId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_readable)]
AttributeName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_readable)]
Attribute = Annotated[AttributeValue, PlainValidator(_attribute), WithJsonSchema(_SCHEMA)]
Words = Annotated[str, Field(max_length=MAX_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ItemBody(_Body):
    """An item as a shop tells it: ``text``, or what a text is made of."""

    item_id: ItemId | None = Field(None, description="may be left out where the path tells it")
    text: Words | None = None
    title: Words | None = None
    brand: Words | None = None
    categories: Words | Annotated[list[Words], Field(max_length=MAX_ATTRIBUTE_LIST)] | None = None
    description: Words | None = None
    attributes: Annotated[dict[AttributeName, Attribute], Field(max_length=MAX_ATTRIBUTES)] = Field(
        default_factory=dict, description="what filters look at"
    )
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


class ItemPatch(_Body):
    """What changes without encoding again."""

    attributes: dict[AttributeName, Attribute | None] | None = Field(None, description="merged; null deletes a key")
    available: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ItemPatch":
        if self.attributes is None and self.available is None:
            raise PydanticCustomError("empty_patch", "give `attributes`, `available` or both")
        return self

    def applied_to(self, record: ItemRecord) -> ItemRecord:
        """The record after this patch.

        Raises:
            InvalidItemError: if it would have too many attributes.
        """
        merged = {**record.attributes, **(self.attributes or {})}
        attributes = {name: value for name, value in merged.items() if value is not None}
        if len(attributes) > MAX_ATTRIBUTES:
            raise InvalidItemError(
                f"an item may have {MAX_ATTRIBUTES} attributes, this one would have {len(attributes)}"
            )
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
