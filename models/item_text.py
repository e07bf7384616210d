"""The text that an item is encoded by: the same words in the same order offline and on ingest."""

import hashlib
from collections.abc import Mapping

from models.errors import InvalidItemError

# No encoder reads so far; the service takes no longer text, so a longer one is cut before it is sent or encoded.
MAX_TEXT = 20_000
TEXT_FIELDS = ("title", "brand", "categories", "description")


def compose_text(item: Mapping[str, object]) -> str:
    """``text`` where an item has one, else its title, brand, categories and description, with white space collapsed.

    ``categories`` may be a list. Values that are None or empty are left out. What is longer than MAX_TEXT is cut.

    Raises:
        InvalidItemError: if nothing is left.
    """
    text = _words(item.get("text"))
    if not text:
        text = " ".join(part for part in (_words(item.get(field)) for field in TEXT_FIELDS) if part)
    if not text:
        raise InvalidItemError(f"the item has no text: give `text`, or one of {', '.join(TEXT_FIELDS)}")
    return text[:MAX_TEXT].rstrip()


def text_sha256(text: str) -> str:
    """What tells that a text is the one encoded before: 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(words for words in map(_words, value) if words)
    return " ".join(str(value).split())
