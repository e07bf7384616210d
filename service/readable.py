"""Which texts say anything."""

import unicodedata

# White space, line and paragraph separators, control characters, and those that only steer others, such as U+200B.
_UNREADABLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})


def is_readable(text: str) -> bool:
    """Whether a text holds any character that can be read."""
    return any(unicodedata.category(sign) not in _UNREADABLE for sign in text)
