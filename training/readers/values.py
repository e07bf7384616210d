"""One cell of raw data ─► the value that it means, or a :class:`~training.errors.RowError` that says why not."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from models.errors import InvalidItemError
from models.item_text import TEXT_FIELDS, compose_text
from training.errors import DataError, RowError
from training.readers.source import INTERACTION_COLUMNS, AttributeValue, Interaction, ItemRow

_INT64 = 1 << 63


def parse_json_object(line: str) -> dict[str, object]:
    """The JSON object on one line.

    Raises:
        RowError: if there is none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError("not JSON", error) from error
    if not isinstance(row, dict):
        raise RowError("not a JSON object", line)
    return row


def parse_item(row: Mapping[str, object]) -> ItemRow:
    """An item from its cells: text fields as text (categories as a list), the rest as attributes, nested ones as JSON.

    Raises:
        RowError: if it has no id or no text.
    """
    item: ItemRow = {"item_id": parse_id(row, "item_id")}
    for name, cell in row.items():
        if name != "item_id":
            value = _text_field(name, cell) if name in TEXT_FIELDS or name == "text" else _attribute(name, cell)
            if value is not None and value not in ("", []):
                item[name] = value
    try:
        compose_text(item)
    except InvalidItemError as error:
        raise RowError("the item has no text") from error
    return item


def parse_interaction(row: Mapping[str, object]) -> Interaction:
    """An interaction from its cells.

    Raises:
        RowError: if an id is empty or the timestamp is not one.
    """
    user, item, time = INTERACTION_COLUMNS
    return Interaction(parse_id(row, user), parse_id(row, item), parse_timestamp(row.get(time)))


def parse_id(row: Mapping[str, object], name: str) -> str:
    """An id as a string; whole numbers are ids too."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        raise RowError(f"{name} is empty")
    if not isinstance(value, str):
        raise RowError(f"{name} is neither a string nor a whole number", value)
    if not value.strip():
        raise RowError(f"{name} is empty")
    return _unicode(name, value)


def parse_timestamp(value: object) -> int | float:
    """A point in time: a number as it is, or a date (ISO 8601) in milliseconds, UTC."""
    if value is None or value == "":
        raise RowError("timestamp is empty")
    number = _number(value)
    if number is None:
        number = _milliseconds(value)
    if not math.isfinite(number):
        raise RowError("timestamp is not finite", value)
    if not -_INT64 <= number < _INT64:
        raise RowError("timestamp is out of range", value)
    return int(number) if number == int(number) else number


def whole_timestamps(timestamps: Sequence[int | float]) -> npt.NDArray[np.int64]:
    """Points in time as int64, all in thousandths of their unit if one of them has a fraction.

    Raises:
        DataError: if thousandths of the unit do not fit.
    """
    if all(isinstance(timestamp, int) for timestamp in timestamps):
        return np.array(timestamps, dtype=np.int64)
    thousandths = [round(timestamp * 1000) for timestamp in timestamps]
    if any(not -_INT64 <= timestamp < _INT64 for timestamp in thousandths):
        raise DataError("the timestamps mix fractions with numbers that are too large: give all of them in one unit")
    return np.array(thousandths, dtype=np.int64)


def _number(value: object) -> int | float | None:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value if isinstance(value, int) else float(value)
    if isinstance(value, str) and "_" not in value:  # Python reads 1_000 as a number; nobody else does
        for parse in (int, float):
            try:
                return parse(value)
            except ValueError:
                continue
    return None


def _milliseconds(value: object) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise RowError("timestamp is neither a number nor an ISO 8601 date", value) from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise RowError("timestamp is neither a number nor an ISO 8601 date", value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return round(value.timestamp() * 1000)


def _text_field(name: str, value: object) -> str | list[str] | None:
    if isinstance(value, list | tuple):
        if any(isinstance(part, dict | list) for part in value):
            raise RowError(f"{name} is neither text nor a list of texts", value)
        words = [_unicode(name, str(part)) for part in value if part is not None and str(part).strip()]
        return words if name == "categories" else " ".join(words)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dict | bool):
        raise RowError(f"{name} is neither text nor a list of texts", value)
    text = _unicode(name, str(value))
    return [text] if name == "categories" and text.strip() else text


def _attribute(name: str, value: object) -> AttributeValue | None:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return _unicode(name, value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple) and not any(isinstance(part, dict | list) for part in value):
        return [_unicode(name, str(part)) for part in value if part is not None]
    # nothing can filter by what is nested, but it can be shown
    return _unicode(name, json.dumps(value, ensure_ascii=False, default=str))


def _unicode(name: str, value: str) -> str:
    """JSON can spell half a character (a lone surrogate), which no file or request could hold afterwards."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RowError(f"{name} is not valid Unicode", value) from error
    return value
