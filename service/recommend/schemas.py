"""What a recommendation request may say, and what it is answered."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from models.item_text import MAX_TEXT
from service.catalog.filters import Filter
from service.catalog.item import AttributeValue
from service.readable import READABLE_PATTERN, is_readable
from service.strict_model import StrictModel, check_fields

MAX_HISTORY_ENTRIES = 1000
MAX_EXCLUDED = 10_000
MAX_REQUESTS = 256
MAX_TEXTS = 1000
_MAX_ID = 4096
_FIELDS = frozenset({"item_id", "text"})  # of an entry

_HISTORY_ENTRY = 'an entry is an item id, {"item_id": …} or {"text": …}'


def _not_blank(text: str) -> str:
    if not is_readable(text):
        raise PydanticCustomError("blank_text", "the text holds no readable character")
    return text


def _whole(value: Any) -> Any:  # noqa: ANN401  (anything may come from outside)
    """To JSON 10.0 is the integer 10, and some clients know no other numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Looser than what an item may be called, since an id that cannot exist is unknown, and that is no error.
ItemId = Annotated[str, Field(max_length=_MAX_ID)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT, json_schema_extra={"pattern": READABLE_PATTERN}),
    AfterValidator(_not_blank),
]
Limit = Annotated[int, Field(ge=1, le=500, description="How many items at most."), BeforeValidator(_whole)]


@dataclass(frozen=True, slots=True)
class HistoryText:
    """An item of a history that is told by its text."""

    text: str


class HistoryEntry(BaseModel):
    """One item of a history: a string is its id; otherwise exactly one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item_id: ItemId | None = None
    text: Text | None = Field(default=None, description="An item that was never ingested, told by its text.")

    @model_validator(mode="before")
    @classmethod
    def _from_id(cls, raw: Any) -> Any:  # noqa: ANN401  (anything may come from outside)
        if isinstance(raw, str):
            return {"item_id": raw}
        check_fields(raw)
        if isinstance(raw, dict) and [raw.get("item_id"), raw.get("text")].count(None) != 1:
            raise PydanticCustomError("history_entry", f"give exactly one of item_id and text: {_HISTORY_ENTRY}")
        if not isinstance(raw, dict | cls):
            raise PydanticCustomError("history_entry", _HISTORY_ENTRY)
        return raw

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        item_id, text = (schema["properties"][name]["anyOf"][0] for name in ("item_id", "text"))  # [1] is null
        one_key = {key: schema.pop(key) for key in ("type", "additionalProperties")}
        del schema["properties"]
        none: dict[str, Any] = {"type": "null"}
        schema["anyOf"] = [
            item_id,
            {**one_key, "properties": {"item_id": item_id, "text": none}, "required": ["item_id"]},
            {**one_key, "properties": {"item_id": none, "text": text}, "required": ["text"]},
        ]
        return reference


def _read_entry(raw: Any, validate: ValidatorFunctionWrapHandler) -> str | HistoryText:  # noqa: ANN401  (as above)
    """An id or a text. Most are ids, and a call may hold 256,000: a model of each would take seconds."""
    is_of_id = type(raw) is dict and raw.keys() <= _FIELDS and raw.get("text") is None
    item_id = raw.get("item_id") if is_of_id else raw
    if type(item_id) is str and len(item_id) <= _MAX_ID and _is_unicode(item_id):
        return item_id
    entry: HistoryEntry = validate(raw)
    return HistoryText(entry.text) if entry.text is not None else entry.item_id or ""


def _is_unicode(text: str) -> bool:
    """Whether it holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _schema_of_entry(_: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    return no_info_wrap_validator_function(_read_entry, handler.generate_schema(HistoryEntry))


Entry = Annotated[str | HistoryText, GetPydanticSchema(_schema_of_entry)]
"""Read and published as a :class:`HistoryEntry`; kept as the id, or as the text."""


class RecommendRequest(StrictModel):
    """Asks for the items that a shopper with this history takes next."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"properties": {"history": {"minItems": 1}}}, {"required": ["fallback"]}],
            "examples": [
                {
                    "history": ["B001", {"item_id": "B002"}, {"text": "a light helmet"}],
                    "limit": 10,
                    "filter": {"category": ["protection", "safety"], "in_stock": True, "price": {"lte": 80}},
                }
            ],
        }
    )

    history: Annotated[list[Entry], Field(max_length=MAX_HISTORY_ENTRIES)] = Field(
        description="Oldest first. Unknown ids are skipped and reported; the most recent entries count."
    )
    limit: Limit = 10
    filter: Filter | None = Field(default=None, description="Applied before the best items are taken.")
    exclude_item_ids: Annotated[list[ItemId], Field(max_length=MAX_EXCLUDED)] = Field([])
    exclude_history: bool = True
    fallback: Literal["popular", "none"] = Field(
        default="popular", description="What is given when nothing in the history is known."
    )
    explain: bool = False
    return_attributes: bool = False

    @model_validator(mode="after")
    def _mean_it(self) -> "RecommendRequest":
        if not self.history and "fallback" not in self.model_fields_set:
            raise PydanticCustomError(
                "empty_history",
                'the history is empty: give at least one entry, or name the fallback you want, "popular" or "none"',
            )
        return self


class BatchRequest(StrictModel):
    """Several independent requests to one domain, answered from one state of its catalogue."""

    # The first that is wrong is told: all that can be wrong with all of them takes seconds to say.
    requests: Annotated[list[RecommendRequest], Field(min_length=1, max_length=MAX_REQUESTS), FailFast()]

    @model_validator(mode="after")
    def _limit_texts(self) -> "BatchRequest":
        # Without a line of Python for each entry: the framework has this done again to what a thread has read.
        if sum(list(map(type, request.history)).count(HistoryText) for request in self.requests) > MAX_TEXTS:
            raise PydanticCustomError("too_many_texts", f"one call may hold at most {MAX_TEXTS} texts in all")
        return self


class RecommendedItem(BaseModel):
    item_id: str
    score: float = Field(description="A cosine; for a popular item its interactions in training.")
    source: Literal["model", "popular"]
    attributes: dict[str, AttributeValue] | None = Field(default=None, description="With return_attributes.")


class RecommendResponse(BaseModel):
    request_id: str
    domain: str
    adapter_version: str
    items: list[RecommendedItem]
    unknown_history_items: list[str]
    fallback: bool = Field(description="Whether these are popular items, since nothing in the history is known.")
    took_ms: float


class BatchResponse(BaseModel):
    results: list[RecommendResponse] = Field(description="In the order of the requests.")


class SimilarResponse(BaseModel):
    request_id: str
    domain: str
    adapter_version: str
    items: list[RecommendedItem]
    took_ms: float
