"""Would a text encoder in int8 give items the codes that the one in float32 gives them, and how much faster is it?

A code is made of nearest centroids, and an item near the border between two of them changes sides when its vector does.
Each kind of int8 is measured on one thread beside float32, with the quantiser of an adapter.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from benchmarks.setting import read_setting
from models.adapter import DomainAdapter
from models.onnx_session import open_session
from models.store import ArtifactStore
from models.text_encoder import GRAPH_FILE, TextEncoder, TextVectors

DOMAIN = "scientific"
TEXTS = 1000
SEED = 0


@dataclass(frozen=True)
class Kind:
    """A way to compute the graph.

    Args:
        convert: the graph at the first path ─► the second.
        alone: whether each text must be a batch of its own, since one scale for all activations of a batch would make
            a text's vector depend on the others in it.
    """

    name: str
    convert: Callable[[Path, Path], None]
    alone: bool = False


def main() -> None:
    logging.disable(logging.INFO)  # what converts tells of every node
    setting = read_setting("precision", __doc__ or "")
    dataset = setting.dataset(DOMAIN)
    store = ArtifactStore(setting.artifacts)
    adapter = DomainAdapter.load(setting.adapter(dataset, DOMAIN, store))
    path = store.find(store.text_encoders, adapter.bundle.manifest.text_encoder)
    encoder = TextEncoder.load(path, threads=1)
    drawn = np.random.default_rng(SEED).permutation(len(dataset.texts))[: 60 if setting.quick else TEXTS]
    texts = [dataset.texts[place] for place in drawn]
    exact, exact_rate = _encode(encoder, texts, alone=False)
    codes = adapter.quantizer.encode(exact)
    rows: list[tuple[object, ...]] = [("float32", round(exact_rate, 1), 1.0, 1.0, 1.0)]
    for kind in _KINDS:
        vectors, rate = _encode(_converted(encoder, path / GRAPH_FILE, kind), texts, kind.alone)
        same = adapter.quantizer.encode(vectors) == codes  # [n, D]
        cosine = float(np.mean((vectors.astype(np.float32) * exact.astype(np.float32)).sum(axis=1)))
        rows.append((kind.name, round(rate, 1), float(same.all(axis=1).mean()), float(same.mean()), cosine))
    facts = {"texts": len(texts), "threads": 1, "seed": SEED}
    setting.report(("precision", "texts/s", "same code", "same index in a codebook", "cosine"), rows, facts)


def _encode(encoder: TextEncoder, texts: Sequence[str], alone: bool) -> tuple[TextVectors, float]:
    """Text vectors, and how many a second."""
    encoder.encode(texts[:16])
    start = time.perf_counter()
    if alone:
        vectors = np.concatenate([encoder.encode_tokens([token_ids]) for token_ids in encoder.tokenize(texts)])
    else:
        vectors = encoder.encode(texts)
    return vectors, len(texts) / (time.perf_counter() - start)


def _converted(encoder: TextEncoder, graph: Path, kind: Kind) -> TextEncoder:
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / GRAPH_FILE
        kind.convert(graph, converted)
        session = open_session(converted.read_bytes(), threads=1, without=("SkipLayerNormFusion",))
    return replace(encoder, session=session)


def _dynamic(graph: Path, converted: Path) -> None:
    quantize_dynamic(graph, converted, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])


def _by_blocks(graph: Path, converted: Path) -> None:
    """Weights and activations with a scale for every 32 values: of a row alone, so that a text's company has no say."""
    quantizer = MatMulNBitsQuantizer(onnx.load(graph), bits=8, block_size=32, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    quantizer.model.save_model_to_file(str(converted))


_KINDS = (Kind("int8, dynamic", _dynamic, alone=True), Kind("int8, by blocks of 32", _by_blocks))


if __name__ == "__main__":
    main()
