"""A backbone as it is read, and the proof that its network computes what it did."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from models.backbone import (
    BASE_QUANTIZER_FILE,
    BASE_TABLE_FILE,
    GOLDEN_FILE,
    GRAPH_FILE,
    PROJECTION_FILE,
    Backbone,
    Projection,
    read_base_quantizer,
    read_base_table,
    read_projection,
)
from models.bundle import Bundle, read_bundle, write_bundle
from models.codes import CodeLayout
from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.manifest import BackboneManifest, LayoutManifest
from models.quantizer import Quantizer
from models.text_encoder import GRAPH_FILE as TEXT_GRAPH_FILE
from tests.tiny_models import LAYOUT, TEXT_DIM, WIDTH, TinyStore, tiny_quantizer, write_tiny_backbone


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
    no_marks = np.zeros((0, 0, WIDTH), dtype=np.float32)
    table = Projection(weight.astype(np.float32), bias.astype(np.float32), no_marks).base_table(quantizer)
    codes = quantizer.encode(rng.standard_normal((20, TEXT_DIM)).astype(np.float16))
    parts = np.concatenate([quantizer.centroids[book, codes[:, book]] for book in range(codes.shape[1])], axis=1)
    np.testing.assert_allclose(table.raw(codes), parts @ quantizer.rotation.T @ weight.T + bias, atol=1e-4)


def test_fingerprints_get_the_marks_of_the_backbone_which_must_be_enough() -> None:
    rng = np.random.default_rng(5)
    plain = tiny_quantizer(0)
    books, size = LAYOUT.num_codebooks, LAYOUT.codebook_size
    quantizer = Quantizer(CodeLayout(books + 2, size), plain.rotation, plain.centroids)  # as many indices as one likes
    zeros = np.zeros((WIDTH, TEXT_DIM), dtype=np.float32)
    marks = rng.standard_normal((2, size + 1, WIDTH)).astype(np.float32)
    table = Projection(zeros, zeros[:, 0], marks).base_table(quantizer)
    codes = quantizer.encode(rng.standard_normal((20, TEXT_DIM)).astype(np.float16))
    expected = marks[0, codes[:, books]] + marks[1, codes[:, books + 1]]
    np.testing.assert_allclose(table.raw(codes), expected, atol=1e-5)
    for too_few in (marks[:1], marks[:, : size - 1], marks[:0]):
        with pytest.raises(ArtifactMismatchError, match="2 fingerprints"):
            Projection(zeros, zeros[:, 0], too_few).base_table(quantizer)


@pytest.mark.parametrize("shape", [(1, 8), (1, 8, WIDTH + 1)])
def test_marks_of_another_shape_are_refused(tiny: TinyStore, tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensors = {
        "weight": np.zeros((WIDTH, TEXT_DIM), dtype=np.float32),
        "bias": np.zeros(WIDTH, dtype=np.float32),
        "item_marks": np.zeros(shape, dtype=np.float32),
    }
    backbone = Backbone.load(rewritten(tiny, tmp_path, {PROJECTION_FILE: save_safetensors(tensors)}), threads=1)
    with pytest.raises(InvalidArtifactError, match="marks"):
        _ = backbone.projection


Tensors = dict[str, npt.NDArray[np.generic]]

TABLE: Tensors = {"table": np.random.default_rng(0).standard_normal((LAYOUT.num_rows, WIDTH)).astype(np.float32)}
QUANTIZER: Tensors = {"rotation": tiny_quantizer(0).rotation, "centroids": tiny_quantizer(0).centroids}


def with_base(
    tiny: TinyStore, folder: Path, kind: str, table: Tensors = TABLE, quantizer: Tensors = QUANTIZER, **update: object
) -> Bundle[BackboneManifest]:
    """The tiny backbone with one base table for all shops, and the quantiser of all of them."""
    layout = LayoutManifest(num_codebooks=LAYOUT.num_codebooks, codebook_size=LAYOUT.codebook_size)
    files = {BASE_TABLE_FILE: save_safetensors(table), BASE_QUANTIZER_FILE: save_safetensors(quantizer)}
    path = rewritten(tiny, folder, files, **{"tables": kind, "layout": layout, **update})
    return read_bundle(path, BackboneManifest)


@pytest.mark.parametrize("kind", ["shared", "permuted"])
def test_a_base_table_is_read_as_it_was_written(tiny: TinyStore, tmp_path: Path, kind: str) -> None:
    bundle = with_base(tiny, tmp_path, kind)
    table = read_base_table(bundle)
    assert table.layout == LAYOUT
    assert table.rows.tobytes() == TABLE["table"].tobytes()
    Backbone.load(bundle.path, threads=1)  # the service does not mind what new domains start from
    if kind == "shared":
        assert read_base_quantizer(bundle).sha256 == tiny_quantizer(0).sha256


def test_what_a_kind_of_table_does_not_have_is_not_read(tiny: TinyStore, tmp_path: Path) -> None:
    permuted, shared = with_base(tiny, tmp_path, "permuted"), with_base(tiny, tmp_path, "shared")
    for read, bundle in (
        (read_base_table, tiny.backbone),
        (read_base_quantizer, tiny.backbone),
        (read_base_quantizer, permuted),
        (read_projection, permuted),
        (read_projection, shared),
    ):
        with pytest.raises(ArtifactMismatchError):
            read(bundle)


def test_a_backbone_from_before_there_were_kinds_is_a_projected_one(tiny: TinyStore, tmp_path: Path) -> None:
    old = json.loads((tiny.backbone.path / "manifest.json").read_text())
    del old["tables"], old["layout"]
    shutil.copytree(tiny.backbone.path, tmp_path / "old")
    (tmp_path / "old" / "manifest.json").write_text(json.dumps(old))
    assert read_bundle(tmp_path / "old", BackboneManifest).manifest == tiny.backbone.manifest
    assert Backbone.load(tmp_path / "old", threads=1).projection.weight.shape == (WIDTH, TEXT_DIM)


@pytest.mark.parametrize(("tables", "has_layout"), [("projected", True), ("shared", False), ("permuted", False)])
def test_a_layout_goes_with_a_base_table_alone(tiny: TinyStore, tmp_path: Path, tables: str, has_layout: bool) -> None:
    layout = LayoutManifest(num_codebooks=4, codebook_size=8) if has_layout else None
    path = rewritten(tiny, tmp_path, {}, tables=tables, layout=layout)
    with pytest.raises(InvalidArtifactError, match="layout"):
        read_bundle(path, BackboneManifest)


def test_a_base_table_that_is_not_the_manifests_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    rows = TABLE["table"]
    tables: list[Tensors] = [
        {"table": rows[:-1]},
        {"table": np.ascontiguousarray(rows[:, :-1])},
        {"table": rows.astype(np.float64)},
        {"table": np.full_like(rows, np.nan)},
        {"rows": rows},
        {"table": rows, "more": rows},
    ]
    for table in tables:
        with pytest.raises(InvalidArtifactError):
            read_base_table(with_base(tiny, tmp_path, "permuted", table=table))
    for layout in (LayoutManifest(num_codebooks=0, codebook_size=8), LayoutManifest(num_codebooks=8, codebook_size=8)):
        with pytest.raises(InvalidArtifactError):
            read_base_table(with_base(tiny, tmp_path, "permuted", layout=layout))
    without = rewritten(tiny, tmp_path, {}, tables="permuted", layout=LayoutManifest(num_codebooks=4, codebook_size=8))
    with pytest.raises(InvalidArtifactError, match="lacks"):
        read_base_table(read_bundle(without, BackboneManifest))


def test_a_base_quantiser_that_is_not_the_manifests_is_refused(tiny: TinyStore, tmp_path: Path) -> None:
    rotation, centroids = QUANTIZER["rotation"], QUANTIZER["centroids"]
    quantizers: list[Tensors] = [
        {"rotation": rotation},
        {"rotation": rotation[:-1], "centroids": centroids},
        {"rotation": rotation, "centroids": centroids[:-1]},
        {"rotation": np.full_like(rotation, np.inf), "centroids": centroids},
        {"rotation": rotation.astype(np.float16), "centroids": centroids},
    ]
    for quantizer in quantizers:
        with pytest.raises(InvalidArtifactError):
            read_base_quantizer(with_base(tiny, tmp_path, "shared", quantizer=quantizer))
