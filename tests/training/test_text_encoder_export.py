"""Exporting a sentence encoder from a checkpoint; the default one is compared with transformers in tests/parity."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from models.bundle import read_bundle
from models.errors import ArtifactNotFoundError, InvalidArtifactError
from models.manifest import TextEncoderManifest
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from tests.training.small_shop import ENCODER, SmallShops
from training.text_encoder_export import export_text_encoder, provide_text_encoder

WORDS = ["[CLS]", "[UNK]", "drill", "saw", "paper", "red", "blue"]
TEXTS = ["drill", "red saw", "saw red", "blue paper paper red drill", "unheard of"]


@pytest.fixture(scope="module")
def transformer() -> Any:
    from transformers import BertConfig, BertModel  # noqa: PLC0415 - slow to import

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    return BertModel(config, add_pooling_layer=False).eval()


def write_checkpoint(folder: Path, transformer: Any, pooling: dict[str, object] | None, normalize: bool) -> Path:
    """A checkpoint as sentence-transformers lays it out."""
    transformer.save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if normalize:
        (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Normalize"}]))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 4}))
    return folder


@pytest.mark.training
@pytest.mark.parametrize(
    ("pooling", "normalize", "kind"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_lasttoken": False}, True, "mean"),
        (None, False, "cls"),
    ],
)
def test_the_graph_pools_and_normalises_as_the_checkpoint_says(
    transformer: Any, tmp_path: Path, pooling: dict[str, object] | None, normalize: bool, kind: str
) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", transformer, pooling, normalize)
    bundle = export_text_encoder(str(source), tmp_path / "out")
    assert (bundle.manifest.pooling, bundle.manifest.normalize, bundle.manifest.max_tokens) == (kind, normalize, 4)
    encoder = TextEncoder.load(bundle.path, threads=1)
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        ids = [0, *(WORDS.index(word) if word in WORDS else 1 for word in text.split())][:4]
        with torch.no_grad():
            states = transformer(input_ids=torch.tensor([ids])).last_hidden_state[0]
        expected = states.mean(dim=0) if kind == "mean" else states[0]
        expected = expected / expected.norm() if normalize else expected
        np.testing.assert_allclose(vector.astype(np.float32), expected.numpy(), rtol=2e-3, atol=1e-3)


@pytest.mark.training
@pytest.mark.parametrize(
    "pooling",
    [{"pooling_mode_max_tokens": True}, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, {}],
)
def test_pooling_of_another_kind_is_refused(transformer: Any, tmp_path: Path, pooling: dict[str, object]) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", transformer, pooling, normalize=False)
    with pytest.raises(InvalidArtifactError, match="only the mean and"):
        export_text_encoder(str(source), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.training
def test_a_folder_without_a_transformer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArtifactError, match="transformer"):
        export_text_encoder(str(tmp_path / "empty"), tmp_path / "out")


def test_a_name_that_is_neither_a_folder_nor_one_of_the_hubs_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match="give the path of a downloaded copy"):
        export_text_encoder("no/such/encoder at all", tmp_path / "out")


def test_an_encoder_in_the_store_is_found_by_its_name(shops: SmallShops, tmp_path: Path) -> None:
    store = shops.new_store(tmp_path)
    (store.text_encoders / ".writing-x").mkdir()  # what a writer that was killed left
    path = provide_text_encoder(ENCODER, store)
    assert read_bundle(path, TextEncoderManifest).manifest.name == ENCODER
    with pytest.raises(ArtifactNotFoundError):
        provide_text_encoder("no/such/encoder at all", ArtifactStore(tmp_path))
