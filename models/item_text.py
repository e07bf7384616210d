"""The text that an item is encoded by: the same words in the same order offline and on ingest."""

import hashlib
from collections.abc import Mapping

from models.errors import InvalidItemError

TEXT_FIELDS = ("title", "brand", "categories", "description")


def compose_text(item: Mapping[str, object]) -> str:
    """``text`` where an item has one, else its title, brand, categories and description, with white space collapsed.

    ``categories`` may be a list. Values that are None or empty are left out.

    Raises:
        InvalidItemError: if nothing is left.
    """
    text = _words(item.get("text"))
    if not text:
        text = " ".join(part for part in (_words(item.get(field)) for field in TEXT_FIELDS) if part)
    if not text:
        raise InvalidItemError(f"the item has no text: give `text`, or one of {', '.join(TEXT_FIELDS)}")
    return text


def text_sha256(text: str) -> str:
    """What tells that a text is the one encoded before: 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(_words(part) for part in value)
    return " ".join(str(value).split())
