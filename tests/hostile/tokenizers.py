"""Tokenizers that cannot be read, or fail at the first text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.text_encoder import TOKENIZER_FILE
from tests.hostile.damage import Damage, Hostile, vouch, vouching


def _tokenizer(**update: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(update)


def _model(kind: str, **more: object) -> Callable[[dict[str, Any]], object]:
    return _tokenizer(model={"type": kind, **more})


def _template(**update: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["post_processor"].update(update)


def _splitting(pattern: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["pre_tokenizer"]["pattern"].update(Regex=pattern)


_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "of version 9": _tokenizer(version="9.0"),
    "without a model": lambda document: document.pop("model"),
    "with an unknown model": _model("Oracle"),
    "with an id past the graph's": lambda document: document["model"]["vocab"].update(he=1_000_000),
    "with the largest id": lambda document: document["model"]["vocab"].update(he=2**32 - 1),
    "with an id past the largest": lambda document: document["model"]["vocab"].update(he=2**32),
    "with a negative id": lambda document: document["model"]["vocab"].update(he=-1),
    "with half an id": lambda document: document["model"]["vocab"].update(he=0.5),
    "without its unknown token": lambda document: document["model"].update(unk_token="[NOPE]"),
    "of words that are numbers": _model("WordLevel", vocab=[1, 2], unk_token="[UNK]"),
    "of pieces without the unknown": _model(
        "WordPiece", vocab={"a": 0}, unk_token="b", continuing_subword_prefix="##", max_input_chars_per_word=9
    ),
    "of merges of nothing": _model("BPE", vocab={"a": 0}, merges=["a b"]),
    "of merges into nothing": _model("BPE", vocab={"a": 0, "b": 1}, merges=["a b"]),
    "of no pieces": _model("Unigram", unk_id=0, vocab=[]),
    "of pieces with an unknown past the end": _model("Unigram", unk_id=9, vocab=[["a", 0.0]]),
    "of pieces without any unknown": _model("Unigram", unk_id=None, vocab=[["a", 0.0]]),
    "with a template of unknown tokens": _template(special_tokens={}),
    "with a template of a second text": _template(single=[{"Sequence": {"id": "B", "type_id": 0}}]),
    "with a template of an id too large": _template(
        special_tokens={"[CLS]": {"id": "[CLS]", "ids": [2**32 - 1], "tokens": ["[CLS]"]}}
    ),
    "with a pattern that does not end": _splitting("("),
    "with a pattern too deep": _splitting("(" * 20_000 + ")" * 20_000),
    "with normalisers too deep": lambda document: document.update(
        normalizer=json.loads('{"type": "Sequence", "normalizers": [' * 400 + "]}" * 400)
    ),
    "with a map that is none": _tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "with an unknown normaliser": _tokenizer(normalizer={"type": "Shell"}),
    "with an added id too large": _tokenizer(
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

_FILES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "not UTF-8": b'{"version": "\xff"}',
    "deep": b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open brackets": b"[" * 1_000_000,
    "zeros": bytes(1000),
}


def _changing(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(path: Path) -> None:
        document = json.loads((path / TOKENIZER_FILE).read_bytes())
        change(document)
        vouch(path, TOKENIZER_FILE, json.dumps(document).encode())

    return damage


TOKENIZERS: dict[str, Hostile] = {
    **{
        f"a tokenizer {what}": Hostile(_changing(change), "tokenizer|cannot be run")
        for what, change in _CHANGES.items()
    },
    **{
        f"{TOKENIZER_FILE}: {what}": Hostile(vouching(TOKENIZER_FILE, data), "tokenizer")
        for what, data in _FILES.items()
    },
}
