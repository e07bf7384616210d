"""How much longer a tokenizer's normaliser can make a text, bounded before the tokenizer sees one.

A normaliser rewrites the text before it is cut into tokens, and so before anything is truncated. Forty replacements of
a letter by two of it make a terabyte of a word, and a process that cannot have it is ended. So the most that each step
can do is multiplied up; what is unknown to this module is unknown to the tokenizers that it was written for.
"""

import json
from collections.abc import Iterator
from typing import Any

from models.errors import InvalidArtifactError
from models.manifest_reading import refuse_doubles

LARGEST = 1 << 10
_MOST_STEPS = 32
# The longest that one character becomes, of all in Unicode. Precompiled maps are of NFKC and a little more.
_CHARACTERS = {
    "NFC": 3,
    "NFD": 4,
    "NFKC": 18,
    "NFKD": 18,
    "Precompiled": 18,
    "Lowercase": 3,
    "ByteLevel": 4,
    "BertNormalizer": 12,  # blanks around ideographs, and NFD
    "Strip": 1,
    "StripAccents": 1,
    "Nmt": 1,
}


def check_growth(tokenizer: bytes) -> None:
    """Check a serialised tokenizer.

    Raises:
        InvalidArtifactError: if it is not JSON, or its normaliser has more steps or could make a text longer than any
            that is meant well.
    """
    try:
        refuse_doubles(tokenizer)
        document = json.loads(tokenizer)
    except (ValueError, RecursionError) as error:
        raise InvalidArtifactError(f"the tokenizer is not JSON: {str(error)[:200]}") from error
    normalizer = document.get("normalizer") if isinstance(document, dict) else None
    growth, steps = 1.0, 0
    for step in _steps(normalizer):
        growth, steps = growth * _growth(step), steps + 1
        if steps > _MOST_STEPS:
            raise InvalidArtifactError(f"the tokenizer has more than {_MOST_STEPS} normalisers")
        if growth > LARGEST:
            raise InvalidArtifactError(
                f"the tokenizer's normalisers could make a text more than {LARGEST} times as long"
            )


def _steps(normalizer: object) -> Iterator[dict[str, Any]]:
    """The normalisers one after the other, however they are nested."""
    left = [normalizer]
    while left:
        step = left.pop()
        if not isinstance(step, dict):
            continue  # none, or not a tokenizer's: the reader tells
        if step.get("type") == "Sequence":
            inner = step.get("normalizers")
            left.extend(reversed(inner) if isinstance(inner, list) else [])
        else:
            yield step


def _growth(step: dict[str, Any]) -> float:
    kind = step.get("type")
    if kind == "Prepend":
        return 1 + len(str(step.get("prepend", "")))
    if kind == "Replace":
        pattern, content = step.get("pattern"), len(str(step.get("content", "")))
        literal = pattern.get("String") if isinstance(pattern, dict) else None
        # An expression may match the nothing between two characters.
        return max(1.0, content / len(literal)) if isinstance(literal, str) and literal else 1.0 + content
    return _CHARACTERS.get(str(kind), 1)
