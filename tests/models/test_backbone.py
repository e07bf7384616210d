"""A backbone as it is read, and the proof that its network computes what it did."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from models.backbone import GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE, Backbone, Projection
from models.bundle import write_bundle
from models.errors import InvalidArtifactError
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from tests.tiny_models import TEXT_DIM, WIDTH, TinyStore, tiny_quantizer, write_tiny_backbone


def rewritten(tiny: TinyStore, folder: Path, files: Mapping[str, bytes], **update: object) -> Path:
    """The tiny backbone with other files or another manifest, and vouched for."""
    names = (GRAPH_FILE, GOLDEN_FILE, PROJECTION_FILE)
    old = {name: tiny.backbone.read_bytes(name) for name in names}
    return write_bundle(folder, tiny.backbone.manifest.model_copy(update=update), {**old, **files}).path


def golden(tiny: TinyStore) -> dict[str, npt.NDArray[np.generic]]:
    return dict(load_safetensors(tiny.backbone.read_bytes(GOLDEN_FILE)))


def test_a_sound_backbone_gives_its_golden_users(tiny: TinyStore) -> None:
    backbone = Backbone.load(tiny.backbone.path, threads=1, sha256=tiny.backbone.sha256)
    example = golden(tiny)
    vectors = example["vectors"].astype(np.float32)
    histories = [row[:length] for row, length in zip(vectors, example["lengths"].tolist(), strict=True)]
    expected = example["users"].astype(np.float32)
    np.testing.assert_allclose(backbone.network.user_vectors(histories), expected, atol=1e-6)


def test_a_network_that_computes_something_else_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    other = write_tiny_backbone(tmp_path / "other", tiny.text_encoder, np.random.default_rng(9))
    path = rewritten(tiny, tmp_path, {GRAPH_FILE: other.read_bytes(GRAPH_FILE)})
    with pytest.raises(InvalidArtifactError, match="off its golden outputs"):
        Backbone.load(path, threads=1)


@pytest.mark.parametrize(("error", "refused"), [(5e-5, False), (3e-4, True), (np.nan, True)])
def test_the_proof_allows_for_rounding_alone(tiny: TinyStore, tmp_path: Path, error: float, refused: bool) -> None:
    example = golden(tiny)
    users = np.array(example["users"], dtype=np.float32)
    users[-1, -1] += np.float32(error)
    path = rewritten(tiny, tmp_path, {GOLDEN_FILE: save_safetensors({**example, "users": users})})
    if refused:
        with pytest.raises(InvalidArtifactError, match="off its golden outputs"):
            Backbone.load(path, threads=1)
    else:
        Backbone.load(path, threads=1)


def test_what_is_no_network_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    for graph in (b"garbage", b"", tiny.text_encoder.read_bytes(TEXT_GRAPH_FILE)):
        with pytest.raises(InvalidArtifactError):
            Backbone.load(rewritten(tiny, tmp_path, {GRAPH_FILE: graph}), threads=1)


def test_a_proof_that_proves_nothing_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    example = golden(tiny)
    proofs: list[dict[str, npt.NDArray[np.generic]]] = [
        {name: tensor for name, tensor in example.items() if name != "users"},
        {**example, "more": example["users"]},
        {**example, "users": example["users"][:1, :-1]},
        {**example, "lengths": example["lengths"][:1]},
        {name: tensor[:0] for name, tensor in example.items()},
    ]
    for proof in proofs:
        files = {GOLDEN_FILE: save_safetensors({name: np.ascontiguousarray(array) for name, array in proof.items()})}
        with pytest.raises(InvalidArtifactError):
            Backbone.load(rewritten(tiny, tmp_path, files), threads=1)


def test_a_manifest_of_another_width_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifactError):
        Backbone.load(rewritten(tiny, tmp_path, {}, width=WIDTH + 1), threads=1)


def test_a_projection_of_another_shape_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    for shape in ((WIDTH, TEXT_DIM + 1), (TEXT_DIM, WIDTH), (WIDTH * TEXT_DIM,)):
        tensors = {"weight": np.zeros(shape, dtype=np.float32), "bias": np.zeros(WIDTH, dtype=np.float32)}
        backbone = Backbone.load(rewritten(tiny, tmp_path, {PROJECTION_FILE: save_safetensors(tensors)}), threads=1)
        with pytest.raises(InvalidArtifactError):
            _ = backbone.projection


def test_the_base_table_makes_an_item_the_projection_of_its_reconstructed_text() -> None:
    rng = np.random.default_rng(5)
    quantizer = tiny_quantizer(0)
    weight, bias = rng.standard_normal((WIDTH, TEXT_DIM)), rng.standard_normal(WIDTH)
    table = Projection(weight.astype(np.float32), bias.astype(np.float32)).base_table(quantizer)
    codes = quantizer.encode(rng.standard_normal((20, TEXT_DIM)).astype(np.float16))
    parts = np.concatenate([quantizer.centroids[book, codes[:, book]] for book in range(codes.shape[1])], axis=1)
    np.testing.assert_allclose(table.raw(codes), parts @ quantizer.rotation.T @ weight.T + bias, atol=1e-4)
