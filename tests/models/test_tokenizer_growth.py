"""Normalisers that would make a text endless are refused before they see one."""

import json
from pathlib import Path

import pytest

from models.errors import InvalidArtifactError
from models.text_encoder import TOKENIZER_FILE
from models.tokenizer_growth import LARGEST, check_growth
from tests.hostile.damage import copy_of, vouching
from tests.hostile.readers import assert_refused


def replace(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def expression(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def sequence(*steps: object) -> dict[str, object]:
    return {"type": "Sequence", "normalizers": list(steps)}


def serialised(normalizer: object) -> bytes:
    return json.dumps({"version": "1.0", "normalizer": normalizer}).encode()


ENDLESS = {
    "a letter by two, eleven times": sequence(*[replace("a", "aa")] * 11),
    "a letter by a page": replace("a", "a" * (LARGEST + 1)),
    "nothing by a page": replace("", "a" * LARGEST),
    "an expression that matches nothing": expression("", "a" * LARGEST),
    "words before the text, again and again": sequence(*[{"type": "Prepend", "prepend": "aaa"}] * 6),
    "nested": sequence(sequence(replace("a", "a" * 40)), sequence(sequence(replace("a", "a" * 40)))),
    "compatible forms three times": sequence(*[{"type": "NFKD"}] * 3),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_could_make_a_text_endless_is_refused(name: str) -> None:
    with pytest.raises(InvalidArtifactError, match="times as long"):
        check_growth(serialised(ENDLESS[name]))


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(InvalidArtifactError, match="more than 32 normalisers"):
        check_growth(serialised(sequence(*[{"type": "Strip"}] * 33)))


@pytest.mark.parametrize(
    "normalizer",
    [
        None,
        {"type": "BertNormalizer", "clean_text": True, "lowercase": True},
        sequence({"type": "Precompiled", "precompiled_charsmap": ""}, expression(" {2,}", " ")),
        sequence({"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")),
        sequence({"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}),
        sequence({"type": "NFKC"}, replace("``", '"'), replace("''", '"'), {"type": "Lowercase"}),
    ],
)
def test_what_published_tokenizers_do_is_not(normalizer: object) -> None:
    check_growth(serialised(normalizer))


def test_the_key_that_another_reader_takes_cannot_be_hidden() -> None:
    endless = json.dumps(ENDLESS["a letter by a page"])
    with pytest.raises(InvalidArtifactError, match="twice"):
        check_growth(f'{{"normalizer": {endless}, "normalizer": null}}'.encode())


def test_a_text_encoder_with_one_is_refused(sound: dict[str, Path], tmp_path: Path) -> None:
    document = json.loads((sound["text encoder"] / TOKENIZER_FILE).read_text())
    document["normalizer"] = sequence(*[replace("e", "ee")] * 30)
    damage = vouching(TOKENIZER_FILE, json.dumps(document).encode())
    assert_refused("text encoder", copy_of(sound["text encoder"], tmp_path, damage), "times as long")
