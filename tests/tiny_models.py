"""Models that are real in everything but size and sense: verified bundles in an artifact store, drawn from a seed.

The text encoder reads pairs of letters, so that nearly any text has a vector of its own; the network sums with weights
that grow with time, so that the order of a history counts. Both are ONNX graphs and take well under a millisecond.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from string import ascii_lowercase, digits
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from models.adapter import DomainAdapter, write_adapter
from models.backbone import GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE
from models.bundle import Bundle, write_bundle
from models.codes import CodeLayout
from models.manifest import (
    AdapterManifest,
    BackboneManifest,
    LayoutManifest,
    TextEncoderManifest,
    TransformerArchitecture,
)
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.table import CodeTable
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from models.text_encoder import TOKENIZER_FILE, TextEncoder
from models.user_network import UserNetwork

TEXT_DIM = 16
WIDTH = 8
MAX_HISTORY = 10
LAYOUT = CodeLayout(num_codebooks=4, codebook_size=8)

_OPSET = helper.make_opsetid("", 17)
_IR_VERSION = 8


@dataclass(frozen=True)
class TinyStore:
    """A store that holds a text encoder, a backbone and one adapter."""

    store: ArtifactStore
    domain: str
    text_encoder: Bundle[TextEncoderManifest]
    backbone: Bundle[BackboneManifest]
    adapter: Bundle[AdapterManifest]

    @property
    def root(self) -> Path:
        return self.store.root

    def load_adapter(self) -> DomainAdapter:
        return DomainAdapter.load(self.adapter.path)

    def load_text_encoder(self) -> TextEncoder:
        return TextEncoder.load(self.text_encoder.path, threads=1)

    def load_network(self) -> UserNetwork:
        return UserNetwork.open(self.backbone.read_bytes(GRAPH_FILE), WIDTH, MAX_HISTORY, threads=1)


def write_tiny_store(
    root: Path, seed: int = 0, domain: str = "shop", popularity: Mapping[str, int] | None = None
) -> TinyStore:
    """Write a text encoder, a backbone and an adapter for ``domain`` below ``root``.

    Args:
        root: the artifact root.
        seed: what all weights are drawn from; the same seed writes the same bytes.
        domain: the adapter's domain.
        popularity: the adapter's item counts, none by default.
    """
    rng = np.random.default_rng(seed)
    store = ArtifactStore(root)
    text_encoder = _write_text_encoder(store, rng)
    backbone = write_tiny_backbone(root, text_encoder, rng)
    adapter = _write_adapter(
        store, text_encoder, backbone, domain=domain, seed=seed, quantizer_seed=seed, popularity=popularity
    )
    return TinyStore(store, domain, text_encoder, backbone, adapter)


def write_tiny_adapter(
    tiny: TinyStore,
    seed: int,
    *,
    domain: str | None = None,
    quantizer_seed: int = 0,
    popularity: Mapping[str, int] | None = None,
    backbone: Bundle[BackboneManifest] | None = None,
) -> Bundle[AdapterManifest]:
    """Write one more adapter into a tiny store.

    Args:
        tiny: the store, whose text encoder the adapter is made for.
        seed: what the table is drawn from.
        domain: the adapter's domain; the store's by default.
        quantizer_seed: what the quantiser is drawn from; ``write_tiny_store`` takes its own seed, 0 by default, so
            another number makes every stored code void.
        popularity: item counts, none by default.
        backbone: the backbone that the adapter names; the store's by default.
    """
    return _write_adapter(
        tiny.store,
        tiny.text_encoder,
        backbone or tiny.backbone,
        domain=domain or tiny.domain,
        seed=seed,
        quantizer_seed=quantizer_seed,
        popularity=popularity,
    )


def write_tiny_backbone(
    root: Path, text_encoder: Bundle[TextEncoderManifest], rng: np.random.Generator
) -> Bundle[BackboneManifest]:
    """Write a backbone of its own weights into the store at ``root``."""
    graph = _network_graph(_normal(rng, WIDTH, WIDTH))
    vectors, lengths = _normal(rng, 2, 4, WIDTH), np.array([1, 4], dtype=np.int64)
    network = UserNetwork.open(graph, WIDTH, MAX_HISTORY, threads=1)
    users = network.user_vectors([row[:length] for row, length in zip(vectors, lengths, strict=True)])
    projection = {"weight": _normal(rng, WIDTH, TEXT_DIM), "bias": _normal(rng, WIDTH)}
    manifest = BackboneManifest(
        architecture=TransformerArchitecture(),
        width=WIDTH,
        max_history=MAX_HISTORY,
        temperature=0.07,
        text_encoder=text_encoder.sha256,
        text_dim=TEXT_DIM,
    )
    files = {
        GRAPH_FILE: graph,
        GOLDEN_FILE: save_safetensors({"vectors": vectors, "lengths": lengths, "users": users}),
        PROJECTION_FILE: save_safetensors(projection),
    }
    return write_bundle(ArtifactStore(root).backbones, manifest, files)


def tiny_quantizer(seed: int) -> Quantizer:
    """A random orthonormal rotation and random centroids."""
    rng = np.random.default_rng([seed, 1])
    rotation = np.linalg.qr(rng.standard_normal((TEXT_DIM, TEXT_DIM)))[0].astype(np.float32)
    centroids = _normal(rng, LAYOUT.num_codebooks, LAYOUT.codebook_size, TEXT_DIM // LAYOUT.num_codebooks)
    return Quantizer(LAYOUT, rotation, 0.7 * centroids)


def tiny_table(seed: int, layout: CodeLayout = LAYOUT, width: int = WIDTH) -> CodeTable:
    """A table of random rows."""
    return CodeTable(layout, _normal(np.random.default_rng([seed, 2]), layout.num_rows, width))


def _write_adapter(
    store: ArtifactStore,
    text_encoder: Bundle[TextEncoderManifest],
    backbone: Bundle[BackboneManifest],
    *,
    domain: str,
    seed: int,
    quantizer_seed: int,
    popularity: Mapping[str, int] | None,
) -> Bundle[AdapterManifest]:
    quantizer = tiny_quantizer(quantizer_seed)
    manifest = AdapterManifest(
        domain=domain,
        layout=LayoutManifest(num_codebooks=LAYOUT.num_codebooks, codebook_size=LAYOUT.codebook_size),
        text_dim=TEXT_DIM,
        width=WIDTH,
        backbone=backbone.sha256,
        text_encoder=text_encoder.sha256,
        quantizer=quantizer.sha256,
    )
    return write_adapter(store.adapters(domain), manifest, quantizer, tiny_table(seed), dict(popularity or {}))


def _write_text_encoder(store: ArtifactStore, rng: np.random.Generator) -> Bundle[TextEncoderManifest]:
    tokenizer = _pair_tokenizer()
    graph = _text_graph(_normal(rng, tokenizer.get_vocab_size(), TEXT_DIM))
    manifest = TextEncoderManifest(
        name="tiny", pooling="mean", normalize=False, max_tokens=64, text_dim=TEXT_DIM, made_with={"by": "tests"}
    )
    # Parsed and dumped, since the order of keys in the tokenizer's own dump is not promised.
    tokenizer_json = json.dumps(json.loads(tokenizer.to_str()), sort_keys=True)
    return write_bundle(
        store.text_encoders, manifest, {TEXT_GRAPH_FILE: graph, TOKENIZER_FILE: tokenizer_json.encode()}
    )


def _pair_tokenizer() -> Tokenizer:
    letters = ascii_lowercase + digits + " "
    tokens = ["[UNK]", "[CLS]", *letters, *("".join(pair) for pair in product(letters, repeat=2))]
    tokenizer = Tokenizer(WordLevel({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]{1,2}"), behavior="isolated")
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    return tokenizer


def _text_graph(embeddings: npt.NDArray[np.float32]) -> bytes:
    nodes = [
        helper.make_node("Gather", ["embeddings", "token_ids"], ["tokens"], axis=0),  # [batch, tokens, text_dim]
        # A product with ones and no ReduceSum, which adds up in another order when a batch has one row.
        helper.make_node("Equal", ["token_ids", "token_ids"], ["present"]),
        helper.make_node("Cast", ["present"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["ones", "token_axis"], ["ones_row"]),  # [batch, 1, tokens]
        helper.make_node("MatMul", ["ones_row", "tokens"], ["sum_row"]),
        helper.make_node("Squeeze", ["sum_row", "token_axis"], ["sums"]),  # [batch, text_dim]
        helper.make_node("Sin", ["sums"], ["text"]),  # so that two texts which differ in a letter are far apart
    ]
    return _serialised(
        nodes,
        [helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "tokens"])],
        helper.make_tensor_value_info("text", TensorProto.FLOAT, ["batch", TEXT_DIM]),
        {"embeddings": embeddings, "token_axis": np.array([1], dtype=np.int64)},
    )


def _network_graph(weight: npt.NDArray[np.float32]) -> bytes:
    constants: dict[str, npt.NDArray[Any]] = {
        "weight": weight,
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "last": np.array([-1], dtype=np.int64),
        "time_axis": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["vectors", "weight"], ["projected"]),  # [batch, time, width]
        helper.make_node("Shape", ["vectors"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["time"], axis=0),
        helper.make_node("Range", ["zero", "time", "one"], ["positions"]),  # [time]
        helper.make_node("Unsqueeze", ["lengths", "last"], ["column"]),  # [batch, 1]
        helper.make_node("Less", ["positions", "column"], ["present"]),  # [batch, time]
        helper.make_node("Add", ["positions", "one"], ["ranks"]),
        helper.make_node("Cast", ["ranks"], ["rank_floats"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["present"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["mask", "rank_floats"], ["weights"]),  # later items weigh more
        helper.make_node("Unsqueeze", ["weights", "time_axis"], ["weight_row"]),  # [batch, 1, time]
        # A product and no ReduceSum over time, which adds up in another order when a batch has one row.
        helper.make_node("MatMul", ["weight_row", "projected"], ["sums"]),  # [batch, 1, width]
        helper.make_node("Squeeze", ["sums", "time_axis"], ["user"]),
    ]
    return _serialised(
        nodes,
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "time", WIDTH]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ],
        helper.make_tensor_value_info("user", TensorProto.FLOAT, ["batch", WIDTH]),
        constants,
    )


def _serialised(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    output: onnx.ValueInfoProto,
    constants: Mapping[str, npt.NDArray[Any]],
) -> bytes:
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[_OPSET], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _normal(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    return rng.standard_normal(shape).astype(np.float32)
