"""The body of a bulk: a JSON array or NDJSON, read whole before anything is stored."""

import asyncio
import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from models.errors import InvalidItemError
from service.catalog.record import ItemRecord
from service.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from service.items.schemas import ItemBody
from service.problems import faults_of, summary_of

MAX_LINE_BYTES = 1 << 20
MAX_PARTS = 1 << 20
"""Objects and lists in one bulk: more than items have, and each takes up to a quarter of a KiB once it is read."""

_SMALL = 1 << 20  # bytes
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # that is not blank

_ARRAY_TYPES = ("application/json",)
_LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


@dataclass(frozen=True, slots=True)
class BulkEntry:
    """One value of a bulk: an item's record, or why it is none."""

    item_id: str | None
    record: ItemRecord | None
    error: str | None = None


class BulkReader:
    """Reads bulks in a thread, and large ones one after the other: read, each takes ten times its bytes for a while.

    ``turn`` is held while a large one is read.

    Args:
        max_items: more are refused.
    """

    def __init__(self, max_items: int) -> None:
        self._max_items, self.turn = max_items, asyncio.Semaphore(1)

    async def read(self, raw: bytes, content_type: str) -> list[BulkEntry]:
        """See :func:`read_bulk`."""
        if len(raw) <= _SMALL:
            return await asyncio.to_thread(read_bulk, raw, content_type, self._max_items)
        async with self.turn:
            return await asyncio.to_thread(read_bulk, raw, content_type, self._max_items)


def read_bulk(raw: bytes, content_type: str, max_items: int) -> list[BulkEntry]:
    """The entries of a bulk in their order. Heavy for a large one: call it in a thread.

    Args:
        raw: the body.
        content_type: as the request says it; empty: told by how the body begins.
        max_items: more are refused.

    Raises:
        UnsupportedMediaTypeError: if the type is neither JSON nor NDJSON.
        BadRequestError: if the body, or a line of it, is not JSON.
        PayloadTooLargeError: if there are too many items, or objects and lists in all, or a line is too long.
    """
    if raw.count(b"{") + raw.count(b"[") > MAX_PARTS:
        raise PayloadTooLargeError(
            f"a bulk may hold {MAX_PARTS} objects and lists, and this one holds more: send it in parts"
        )
    # What spreadsheets and Windows put before UTF-8 is no part of it.
    values = _read_values(raw.removeprefix(BOM_UTF8), content_type.partition(";")[0].strip().lower(), max_items)
    return [_read_entry(value) for value in values]


def _read_values(raw: bytes, media_type: str, max_items: int) -> list[Any]:
    if not media_type:
        media_type = _ARRAY_TYPES[0] if raw.lstrip()[:1] == b"[" else _LINE_TYPES[0]
    if media_type in _LINE_TYPES:
        return _read_lines(raw, max_items)
    if media_type not in _ARRAY_TYPES:
        raise UnsupportedMediaTypeError(
            f"send a bulk as {_ARRAY_TYPES[0]} (an array) or {_LINE_TYPES[0]} (an item a line), not as {media_type}"
        )
    try:
        values = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}; nothing was stored") from error
    if not isinstance(values, list):
        raise BadRequestError("the body is JSON, but not an array of items; nothing was stored")
    if len(values) > max_items:
        raise _too_many(max_items)
    return values


def _read_lines(raw: bytes, max_items: int) -> list[Any]:
    values: list[Any] = []
    # Not split at once: a body may hold more line feeds than there is room for lines.
    for found in _LINE.finditer(raw):
        if len(values) == max_items:
            raise _too_many(max_items)
        line = found[0]
        if len(line) > MAX_LINE_BYTES:
            where = _number_of_line(raw, found.start())
            raise PayloadTooLargeError(
                f"line {where} has {len(line)} bytes, and a line may have {MAX_LINE_BYTES}; nothing was stored"
            )
        try:
            values.append(from_json(line, allow_inf_nan=False))
        except ValueError as error:
            where, reason = _number_of_line(raw, found.start()), str(error).replace("line 1 ", "")
            raise BadRequestError(f"line {where} is not JSON: {reason}; nothing was stored") from error
    return values


def _number_of_line(raw: bytes, place: int) -> int:
    return raw.count(b"\n", 0, place) + 1


def _too_many(max_items: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a bulk may hold {max_items} items, and this one holds more: send it in parts")


def _read_entry(value: object) -> BulkEntry:
    if not isinstance(value, dict):
        return BulkEntry(None, None, "an item must be a JSON object")
    item_id = value.get("item_id")
    try:
        item = ItemBody.model_validate(value)
        if item.item_id is None:
            return BulkEntry(None, None, "item_id: the item has none")
        return BulkEntry(item.item_id, item.record())
    except ValidationError as error:
        reason = summary_of(faults_of(error.errors(include_input=False, include_url=False)))
    except InvalidItemError as error:
        reason = error.detail
    return BulkEntry(item_id[:256] if isinstance(item_id, str) else None, None, reason)
