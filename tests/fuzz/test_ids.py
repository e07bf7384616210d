"""Ids in every script and of every length, from the way in to the way out."""

import sys
import unicodedata
from pathlib import Path

import pytest

from tests.fuzz.laboratory import in_a_path
from tests.running_service import make_settings, running_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

LONGEST = 256
# What looks the same and is not, what paths and queries have a meaning for, what only steers others, and the longest.
ALIKE = ["é", "e\u0301", "\u00c5", "\u212b", "ﬁ", "fi", "A", "a", "\u0410", "a ", " a", "a/b", "a//b", "/", ".", ".."]
ALIKE += ["%", "%25", "+", "a?b=c", "a#b", "\u202ea", "a" * LONGEST, "🔨" * LONGEST]


def one_of_each_script() -> list[str]:
    """A letter or a sign of each script, told by the first word of its name: LATIN, CJK, CUNEIFORM, DOMINO, …"""
    found: dict[str, str] = {}
    for code in range(0x21, sys.maxunicode + 1):
        sign = chr(code)
        if unicodedata.category(sign)[0] in "LNSPM" and (name := unicodedata.name(sign, "")):
            found.setdefault(name.partition(" ")[0], sign)
    return list(found.values())


async def test_ids_of_every_script_and_length_are_kept_apart(tiny: TinyStore, tmp_path: Path) -> None:
    signs = one_of_each_script()
    assert len(signs) > 500
    ids = [sign * (3 + number % (LONGEST - 2)) for number, sign in enumerate(signs)] + ALIKE
    assert len(set(ids)) == len(ids)
    texts = {item_id: f"text {number}" for number, item_id in enumerate(ids)}
    settings = make_settings(tiny.root, tmp_path / "data")
    async with running_service(settings) as service:
        await service.serve(tiny.adapter)
        await service.put_items(texts)
    async with running_service(settings) as service:
        await service.until_ready()
        for item_id in [*ALIKE, *ids[::20]]:
            found = (await service.http.get(f"/v1/domains/shop/items/{in_a_path(item_id)}")).json()
            assert (found["item_id"], found["text"]) == (item_id, texts[item_id])
        left = set(ids)
        while left:
            answer = await service.recommend(
                [ids[0]], limit=500, exclude_history=False, exclude_item_ids=list(set(ids) - left)
            )
            came = {item["item_id"] for item in answer["items"]}
            assert len(came) == min(500, len(left))
            assert came <= left
            left -= came
        for item_id in ids[-30:]:
            assert (await service.http.delete(f"/v1/domains/shop/items/{in_a_path(item_id)}")).status_code == 204
        assert (await service.http.get("/v1/domains/shop")).json()["items"] == len(ids) - 30
