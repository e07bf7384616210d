"""Which texts and names say anything, as code and, for the published schema, as patterns."""

import re
from collections.abc import Iterable
from typing import Final

Ranges = tuple[tuple[int, int], ...]
_CONTROL: Final[Ranges] = ((0x00, 0x1F), (0x7F, 0x9F))
_SPACE: Final[Ranges] = (
    (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000),
)  # fmt: skip
_WHITE_CONTROL: Final[Ranges] = ((0x09, 0x0D), (0x1C, 0x1F), (0x85, 0x85))
# Characters that only steer others, such as U+200B: those of Unicode 15, whatever Python knows.
_FORMAT: Final[Ranges] = (
    (0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2),
    (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x206F), (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0001, 0xE0001), (0xE0020, 0xE007F),
)  # fmt: skip


def _listed(ranges: Iterable[tuple[int, int]]) -> str:
    """What stands between the brackets of a class of characters, as JavaScript, Python and Rust read it."""
    return "".join(_sign(first) if first == last else f"{_sign(first)}-{_sign(last)}" for first, last in ranges)


def _sign(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else chr(code)  # beyond, each language escapes in its own way


READABLE_PATTERN: Final = f"[^{_listed((*_CONTROL, *_SPACE, *_FORMAT))}]"
"""Of a text that :func:`is_readable`. Lone surrogates, which JSON does not know, are of no class here."""

BLANK_PATTERN: Final = f"^[{_listed((*_WHITE_CONTROL, *_SPACE))}]*$"
"""Of a text of which nothing is left once white space is collapsed."""

NAME_PATTERN: Final = f"^[^{_listed(_CONTROL)}]*[^{_listed((*_CONTROL, *_SPACE))}][^{_listed(_CONTROL)}]*$"
"""Of a name without control characters that is not white space alone."""

_READABLE = re.compile(READABLE_PATTERN)


def is_readable(text: str) -> bool:
    """Whether a text holds any character that can be read: no white space, control or format character."""
    return _READABLE.search(text) is not None
