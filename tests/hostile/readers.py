"""Every reader of artifacts, and something sound for each to read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from models.adapter import DomainAdapter
from models.backbone import (
    BASE_QUANTIZER_FILE,
    BASE_TABLE_FILE,
    GOLDEN_FILE,
    GRAPH_FILE,
    PROJECTION_FILE,
    Backbone,
    read_base_quantizer,
    read_base_table,
)
from models.bundle import Bundle, write_bundle
from models.errors import ArtifactMismatchError, InvalidArtifactError, InvalidCodesError
from models.manifest import BackboneManifest, LayoutManifest
from models.text_encoder import TextEncoder
from tests.tiny_models import LAYOUT, TEXT_DIM, WIDTH, TinyStore, tiny_quantizer, tiny_table

MARKS = np.random.default_rng(3).standard_normal((2, 8, WIDTH)).astype(np.float32)
TEXTS = ("drill", "a hammer with a long handle", "zz 99 !?", "锤子 🔨")


def read_adapter(path: Path) -> None:
    """Read an adapter and use it; all its numbers must be finite."""
    adapter = DomainAdapter.load(path)
    text = np.random.default_rng(0).standard_normal((20, TEXT_DIM)).astype(np.float16)
    vectors = adapter.table.normalized(adapter.quantizer.encode(text))
    counts = np.array(list(adapter.popularity.values()), dtype=np.float32)
    for numbers in (adapter.quantizer.rotation, adapter.quantizer.centroids, adapter.table.rows, vectors, counts):
        assert np.isfinite(numbers).all()
    assert (counts >= 0).all()


def read_backbone(path: Path) -> None:
    """Read a backbone and all that base tables are made of, and recommend with it."""
    backbone = Backbone.load(path, threads=1)
    history = np.random.default_rng(0).standard_normal((5, WIDTH)).astype(np.float32)
    assert np.isfinite(backbone.network.user_vectors([history, history[:2]])).all()
    backbone.network.warm_up()
    if backbone.bundle.manifest.tables == "projected":
        projection = backbone.projection
        for numbers in (projection.weight, projection.bias, projection.marks):
            assert np.isfinite(numbers).all()
        assert np.isfinite(projection.base_table(tiny_quantizer(0)).rows).all()
    else:
        assert np.isfinite(read_base_table(backbone.bundle).rows).all()
    if backbone.bundle.manifest.tables == "shared":
        assert np.isfinite(read_base_quantizer(backbone.bundle).centroids).all()


def read_text_encoder(path: Path) -> None:
    """Read a text encoder, and encode and quantise with it."""
    vectors = TextEncoder.load(path, threads=1).encode(TEXTS)
    assert vectors.shape == (len(TEXTS), TEXT_DIM)
    tiny_quantizer(0).encode(vectors)  # refuses what is not finite


READERS: dict[str, Callable[[Path], None]] = {
    "adapter": read_adapter,
    "backbone": read_backbone,
    "shared backbone": read_backbone,
    "text encoder": read_text_encoder,
}


def untouched(_: Path) -> None:
    """No damage yet."""


def assert_refused(kind: str, path: Path, fault: str) -> str:
    """Read what must be refused; what the refusal says."""
    with pytest.raises((InvalidArtifactError, ArtifactMismatchError, InvalidCodesError), match=fault) as caught:
        READERS[kind](path)
    told = caught.value.detail
    assert 10 < len(told) < 1500
    assert told.encode().decode() == told  # it can be sent
    return told


def write_sound(tiny: TinyStore, folder: Path) -> dict[str, Path]:
    """A sound artifact of each kind; the backbones have all the optional parts."""
    files = {name: tiny.backbone.read_bytes(name) for name in (GRAPH_FILE, GOLDEN_FILE)}
    projection = {**tiny.backbone.read_tensors(PROJECTION_FILE), "item_marks": MARKS}
    quantizer = tiny_quantizer(0)
    base = {
        BASE_TABLE_FILE: save_safetensors({"table": tiny_table(0).rows}),
        BASE_QUANTIZER_FILE: save_safetensors({"rotation": quantizer.rotation, "centroids": quantizer.centroids}),
    }
    layout = LayoutManifest(num_codebooks=LAYOUT.num_codebooks, codebook_size=LAYOUT.codebook_size)
    shared = tiny.backbone.manifest.model_copy(update={"tables": "shared", "layout": layout})
    marked: Bundle[BackboneManifest] = write_bundle(
        folder, tiny.backbone.manifest, {**files, PROJECTION_FILE: save_safetensors(projection)}
    )
    return {
        "adapter": tiny.adapter.path,
        "backbone": marked.path,
        "shared backbone": write_bundle(folder, shared, {**files, **base}).path,
        "text encoder": tiny.text_encoder.path,
    }
