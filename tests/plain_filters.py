"""What a filter means, in plain Python: one item and one condition after the other."""

from collections.abc import Callable, Mapping
from typing import Any

from service.catalog.item import AttributeValue


def fulfils(item: Mapping[str, AttributeValue], wanted: Mapping[str, Any]) -> bool:
    """Whether the attributes of an item fulfil a filter as a request states it."""
    return all(fulfils_one(item.get(name), condition) for name, condition in wanted.items())


def fulfils_one(value: AttributeValue | None, condition: Any) -> bool:
    """Whether one attribute, None if the item lacks it, fulfils one condition."""
    if isinstance(condition, list):
        return fulfils_one(value, {"any": condition})
    if not isinstance(condition, dict):
        return fulfils_one(value, {"any": [condition]})
    held = set() if value is None else {_typed(one) for one in (value if isinstance(value, list) else [value])}
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    checks: dict[str, Callable[[Any], bool]] = {
        "any": lambda wanted: any(_typed(one) in held for one in wanted),
        "all": lambda wanted: all(_typed(one) in held for one in wanted),
        "none": lambda wanted: not any(_typed(one) in held for one in wanted),
        "gt": lambda bound: number is not None and number > float(bound),
        "gte": lambda bound: number is not None and number >= float(bound),
        "lt": lambda bound: number is not None and number < float(bound),
        "lte": lambda bound: number is not None and number <= float(bound),
    }
    return all(checks[operator](operand) for operator, operand in condition.items())


def _typed(value: str | bool | float) -> tuple[str, str | bool | float]:
    """What tells values apart as JSON does: true is not 1, and numbers are doubles."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number", float(value)
    return type(value).__name__, value
