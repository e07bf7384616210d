"""What training is tested on: the sample shops made small, and a text encoder of random word vectors.

Texts with words in common are near each other, which is all that the quantiser and the tied tables ask for.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from models.bundle import Bundle, write_bundle
from models.codes import CodeLayout
from models.manifest import BackboneManifest, TextEncoderManifest, TransformerArchitecture
from models.store import ArtifactStore
from models.text_encoder import GRAPH_FILE, TOKENIZER_FILE
from training.config import NetworkConfig, TrainingConfig
from training.dataset import Dataset, load_dataset
from training.loop import FitConfig
from training.prepare import INTERACTIONS_FILE, ITEMS_FILE
from training.sample_data import generate
from training.train import TrainedShop

TEXT_DIM = 48
ENCODER = "random words"

CONFIG = TrainingConfig(
    layout=CodeLayout(8, 32),
    text_encoder=ENCODER,
    network=NetworkConfig(
        TransformerArchitecture(layers=1, heads=2, inner=64, dropout=0.1), width=48, max_history=12, temperature=0.1
    ),
    fit=FitConfig(max_epochs=8, patience=4, learning_rate=1e-2),
)
"""Small enough to train in seconds; histories of the sample shops are cut at times, as in earnest."""


@dataclass(frozen=True)
class SmallShops:
    """The two sample shops on disk, and a store that holds nothing but a text encoder."""

    folders: tuple[Path, ...]
    encoder: Path

    def dataset(self, shop: int = 0) -> Dataset:
        return load_dataset(self.folders[shop])

    def new_store(self, root: Path) -> ArtifactStore:
        """A store of one's own, with the encoder in it."""
        store = ArtifactStore(root)
        store.take_over(self.encoder, store.text_encoders)
        return store


@dataclass(frozen=True)
class Trained:
    """A shop trained by itself."""

    store: ArtifactStore
    result: TrainedShop


@dataclass(frozen=True)
class Pretrained:
    """A backbone of both shops."""

    store: ArtifactStore
    backbone: Bundle[BackboneManifest]


def write_small_shops(root: Path, users: int) -> SmallShops:
    folders = []
    for shop in generate(seed=0, users=users):
        folder = root / shop.name
        folder.mkdir(parents=True)
        shop.items.write_parquet(folder / ITEMS_FILE)
        shop.interactions.write_parquet(folder / INTERACTIONS_FILE)
        folders.append(folder)
    words = {word for folder in folders for text in load_dataset(folder).texts for word in words_of(text)}
    return SmallShops(tuple(folders), write_word_encoder(root / "encoder", sorted(words)))


def words_of(text: str) -> list[str]:
    return [word for word, _ in Whitespace().pre_tokenize_str(text.lower())]


def with_fit(**changes: object) -> TrainingConfig:
    """The small configuration with another way to fit."""
    return replace(CONFIG, fit=replace(CONFIG.fit, **changes))  # type: ignore[arg-type]  # by name


def write_word_encoder(folder: Path, words: list[str]) -> Path:
    """An encoder whose text vector is the mean of its words' vectors, drawn at random."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(["[UNK]", *words])}, "[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    rng = np.random.default_rng(0)
    graph = _mean_graph(rng.standard_normal((tokenizer.get_vocab_size(), TEXT_DIM)).astype(np.float32))
    manifest = TextEncoderManifest(name=ENCODER, pooling="mean", normalize=False, max_tokens=64, text_dim=TEXT_DIM)
    tokenizer_json = json.dumps(json.loads(tokenizer.to_str()), sort_keys=True)
    return write_bundle(folder, manifest, {GRAPH_FILE: graph, TOKENIZER_FILE: tokenizer_json.encode()}).path


def _mean_graph(vectors: npt.NDArray[np.float32]) -> bytes:
    nodes = [
        helper.make_node("Gather", ["vectors", "token_ids"], ["tokens"], axis=0),  # [batch, tokens, text_dim]
        helper.make_node("ReduceMean", ["tokens"], ["text"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "mean of words",
        [helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("text", TensorProto.FLOAT, ["batch", TEXT_DIM])],
        [numpy_helper.from_array(vectors, "vectors")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
