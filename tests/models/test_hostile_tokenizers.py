"""Tokenizers that cannot be read, or fail at the first text, are refused when they are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.text_encoder import TOKENIZER_FILE
from tests.hostile.damage import copy_of, vouching
from tests.hostile.readers import assert_refused


def tokenizer(**update: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(update)


def model(kind: str, **more: object) -> Callable[[dict[str, Any]], object]:
    return tokenizer(model={"type": kind, **more})


def template(**update: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["post_processor"].update(update)


def splitting(pattern: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["pre_tokenizer"]["pattern"].update(Regex=pattern)


TOKENIZERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "of version 9": tokenizer(version="9.0"),
    "without a model": lambda document: document.pop("model"),
    "with an unknown model": model("Oracle"),
    "with an id past the graph's": lambda document: document["model"]["vocab"].update(he=1_000_000),
    "with the largest id": lambda document: document["model"]["vocab"].update(he=2**32 - 1),
    "with an id past the largest": lambda document: document["model"]["vocab"].update(he=2**32),
    "with a negative id": lambda document: document["model"]["vocab"].update(he=-1),
    "with half an id": lambda document: document["model"]["vocab"].update(he=0.5),
    "without its unknown token": lambda document: document["model"].update(unk_token="[NOPE]"),
    "of words that are numbers": model("WordLevel", vocab=[1, 2], unk_token="[UNK]"),
    "of pieces without the unknown": model(
        "WordPiece", vocab={"a": 0}, unk_token="b", continuing_subword_prefix="##", max_input_chars_per_word=9
    ),
    "of merges of nothing": model("BPE", vocab={"a": 0}, merges=["a b"]),
    "of merges into nothing": model("BPE", vocab={"a": 0, "b": 1}, merges=["a b"]),
    "of no pieces": model("Unigram", unk_id=0, vocab=[]),
    "of pieces with an unknown past the end": model("Unigram", unk_id=9, vocab=[["a", 0.0]]),
    "of pieces without any unknown": model("Unigram", unk_id=None, vocab=[["a", 0.0]]),
    "with a template of unknown tokens": template(special_tokens={}),
    "with a template of a second text": template(single=[{"Sequence": {"id": "B", "type_id": 0}}]),
    "with a template of an id too large": template(
        special_tokens={"[CLS]": {"id": "[CLS]", "ids": [2**32 - 1], "tokens": ["[CLS]"]}}
    ),
    "with a pattern that does not end": splitting("("),
    "with a pattern too deep": splitting("(" * 20_000 + ")" * 20_000),
    "with normalisers too deep": lambda document: document.update(
        normalizer=json.loads('{"type": "Sequence", "normalizers": [' * 400 + "]}" * 400)
    ),
    "with a map that is none": tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "with an unknown normaliser": tokenizer(normalizer={"type": "Shell"}),
    "with an added id too large": tokenizer(
        added_tokens=[
            {
                "id": 99_999,
                "content": "drill",
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ]
    ),
}

TOKENIZER_FILES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "not UTF-8": b'{"version": "\xff"}',
    "deep": b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open brackets": b"[" * 1_000_000,
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_that_does_not_work_is_refused(sound: dict[str, Path], tmp_path: Path, name: str) -> None:
    document = json.loads((sound["text encoder"] / TOKENIZER_FILE).read_text())
    TOKENIZERS[name](document)
    damage = vouching(TOKENIZER_FILE, json.dumps(document).encode())
    assert_refused("text encoder", copy_of(sound["text encoder"], tmp_path, damage), "tokenizer|cannot be run")


@pytest.mark.parametrize("name", TOKENIZER_FILES)
def test_what_is_no_tokenizer_is_refused(sound: dict[str, Path], tmp_path: Path, name: str) -> None:
    damage = vouching(TOKENIZER_FILE, TOKENIZER_FILES[name])
    assert_refused("text encoder", copy_of(sound["text encoder"], tmp_path, damage), "tokenizer")
