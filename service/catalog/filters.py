"""The filter of a request: what it may say, and what is refused with a message that tells the caller what to write."""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    RootModel,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

MAX_KEYS = 32
MAX_VALUES = 1000
MAX_TEXT = 4096  # looser than what an attribute may say, as for ids

_LIST_OPERATORS = ("any", "all", "none")
_NUMBER_OPERATORS = ("gt", "gte", "lt", "lte")
_OPERATORS = ", ".join((*_LIST_OPERATORS, *_NUMBER_OPERATORS))
_SCALAR_SCHEMAS = [{"type": "string", "maxLength": MAX_TEXT}, {"type": "number"}, {"type": "boolean"}]
_LIST_SCHEMA = {"type": "array", "items": {"anyOf": _SCALAR_SCHEMAS}, "minItems": 1, "maxItems": MAX_VALUES}


@dataclass(frozen=True, slots=True)
class Values:
    """Values to compare with, numbers apart from labels: to Python True is 1, to a filter it is not.

    Numbers are compared as doubles.
    """

    labels: frozenset[str | bool]
    numbers: frozenset[float]

    def __len__(self) -> int:
        return len(self.labels) + len(self.numbers)


def _values(raw: object) -> Values:
    if not isinstance(raw, list):
        raise PydanticCustomError("filter_list", "expected a list of values")
    if not raw:
        raise PydanticCustomError("filter_empty_list", "expected at least one value")
    if len(raw) > MAX_VALUES:
        raise _too_many_values()
    labels: set[str | bool] = set()
    numbers: set[float] = set()
    for value in raw:
        if isinstance(value, str | bool):
            labels.add(_text(value) if isinstance(value, str) else value)
        else:
            numbers.add(_number(value, "a value must be a string, a boolean or a finite number"))
    return Values(frozenset(labels), frozenset(numbers))


def _bound(raw: object) -> float:
    return _number(raw, "expected a finite number")


def _number(raw: object, message: str) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        try:
            number = float(raw)
        except OverflowError:
            number = float("inf")
        if isfinite(number):
            return number
    raise PydanticCustomError("filter_value", "{message}", {"message": message})


def _too_many_values() -> PydanticCustomError:
    return PydanticCustomError("filter_too_long", f"a filter may hold at most {MAX_VALUES} values in all")


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise PydanticCustomError("filter_text_too_long", f"a string of a filter may have {MAX_TEXT} characters")
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise PydanticCustomError("filter_text", "a string holds a lone surrogate, which is no character")
    return value


ValueList = Annotated[Values, PlainValidator(_values), WithJsonSchema(_LIST_SCHEMA)]
Bound = Annotated[float, PlainValidator(_bound), WithJsonSchema({"type": "number"})]


class Condition(BaseModel):
    """What one attribute must fulfil; all operators given must hold.

    ``any``: it has one of the values; ``all``: it has each of them; ``none``: it has none of them, which is also true
    of an item without the attribute. ``gt``, ``gte``, ``lt``, ``lte``: it is a number within bounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    any: ValueList | None = None
    all: ValueList | None = None
    none: ValueList | None = None
    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, raw: Any) -> Any:  # noqa: ANN401  (anything may come from outside)
        if isinstance(raw, dict):
            return _checked_operators(raw)
        if isinstance(raw, list):
            return {"any": raw}
        if isinstance(raw, str | int | float):
            return {"any": [raw]}
        raise PydanticCustomError(
            "filter_condition", f"expected a value, a list of values or an object of {_OPERATORS}"
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        operators = {name: operator["anyOf"][0] for name, operator in schema.pop("properties").items()}  # [1] is null
        by_operators = {key: schema.pop(key) for key in ("type", "additionalProperties")}
        by_operators |= {"properties": operators, "minProperties": 1}
        schema["anyOf"] = [*_SCALAR_SCHEMAS, _LIST_SCHEMA, by_operators]
        return reference

    @property
    def has_bounds(self) -> bool:
        return any(bound is not None for bound in (self.gt, self.gte, self.lt, self.lte))


AttributeName = Annotated[str, Field(min_length=1, max_length=256)]


class Filter(RootModel[Annotated[dict[AttributeName, Condition], Field(max_length=MAX_KEYS)]]):
    """A condition for each of some attributes; an item must fulfil them all.

    Filters are compared and hashed by what they ask for, so that requests with the same one share its evaluation.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _limit_values(self) -> "Filter":
        lists = [values for one in self.root.values() for values in (one.any, one.all, one.none) if values is not None]
        if sum(map(len, lists)) > MAX_VALUES:
            raise _too_many_values()
        return self

    def __hash__(self) -> int:
        return hash(frozenset(self.root.items()))

    def __bool__(self) -> bool:
        return bool(self.root)


def _checked_operators(raw: dict[Any, Any]) -> dict[Any, Any]:
    if not raw:
        raise PydanticCustomError("filter_empty", f"an empty object says nothing: use {_OPERATORS}")
    for name, value in raw.items():
        if name not in (*_LIST_OPERATORS, *_NUMBER_OPERATORS):
            raise PydanticCustomError(
                "filter_operator", f"{{name}} is no operator: use {_OPERATORS}", {"name": repr(name)[:80]}
            )
        if value is None:
            raise PydanticCustomError("filter_null", "{name} is null: leave it out", {"name": name})
    return raw
