"""Readable texts and names: the patterns of the schema say what the code says."""

import re
import sys
import unicodedata

from service.items.schemas import ItemBody
from service.readable import BLANK_PATTERN, NAME_PATTERN, READABLE_PATTERN, is_readable

# JSON knows no lone surrogates, and of what is not assigned a later Unicode may make something.
SIGNS = {
    sign: category
    for sign in map(chr, range(sys.maxunicode + 1))
    if (category := unicodedata.category(sign)) not in ("Cs", "Cn")
}


def test_white_space_control_and_format_characters_cannot_be_read() -> None:
    readable = set(re.findall(READABLE_PATTERN, "".join(SIGNS)))
    assert readable == {sign for sign, category in SIGNS.items() if category not in {"Zs", "Zl", "Zp", "Cc", "Cf"}}
    assert is_readable(" \u200ba")
    assert not is_readable(" \u200b\0")
    assert not is_readable("")


def test_the_pattern_of_blank_texts_is_the_rule() -> None:
    blank = re.compile(BLANK_PATTERN.removesuffix("$") + r"\Z")
    near = [sign for sign, category in SIGNS.items() if category[0] in "ZC" and category != "Co"]
    assert [sign for sign in near if (blank.search(sign) is not None) != (not sign.split())] == []
    assert blank.search(" \n\u3000")
    assert not blank.search(" a ")


def test_the_pattern_of_names_is_the_rule() -> None:
    name = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
    near = [sign for sign, category in SIGNS.items() if category[0] in "ZC" and category != "Co"]
    for each in (*near, *(f"a{sign}b" for sign in near), "a", " a ", "道 具", "a\n", ""):
        assert (name.search(each) is not None) == is_taken(each), repr(each)


def is_taken(name: str) -> bool:
    try:
        ItemBody.model_validate({"item_id": name, "text": "a"})
    except ValueError:
        return False
    return True
