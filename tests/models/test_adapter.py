"""A domain adapter as it is written and read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from models.adapter import POPULARITY_FILE, TENSORS_FILE, DomainAdapter, write_adapter
from models.bundle import write_bundle
from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.manifest import AdapterManifest
from tests.tiny_models import TEXT_DIM, WIDTH, TinyStore, tiny_quantizer, tiny_table

Tensors = dict[str, np.ndarray[Any, np.dtype[Any]]]


def written_tensors() -> Tensors:
    quantizer = tiny_quantizer(0)
    return {"rotation": quantizer.rotation, "centroids": quantizer.centroids, "table": tiny_table(0).rows}


def write_tensors(folder: Path, manifest: AdapterManifest, tensors: Tensors, popularity: object = None) -> Path:
    """An adapter whose files are vouched for, whatever they hold."""
    files = {
        TENSORS_FILE: save_safetensors({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}),
        POPULARITY_FILE: json.dumps(popularity if popularity is not None else {}).encode(),
    }
    return write_bundle(folder, manifest, files).path


def test_an_adapter_comes_back_as_it_was_written(tiny: TinyStore, tmp_path: Path) -> None:
    popularity = {"rare": 1, "b-often": 7, "a-often": 7, "äöü": 3}
    bundle = write_adapter(tmp_path, tiny.adapter.manifest, tiny_quantizer(0), tiny_table(3), popularity)
    adapter = DomainAdapter.load(bundle.path, bundle.sha256)
    assert adapter.version == bundle.version
    assert adapter.quantizer.sha256 == tiny_quantizer(0).sha256
    assert adapter.table.rows.tobytes() == tiny_table(3).rows.tobytes()
    assert list(adapter.popularity.items()) == [("a-often", 7), ("b-often", 7), ("äöü", 3), ("rare", 1)]


def test_the_same_adapter_has_the_same_sha256_however_its_popularity_is_ordered(
    tiny: TinyStore, tmp_path: Path
) -> None:
    popularity = {"a": 1, "b": 2, "c": 2}
    shas = {
        write_adapter(tmp_path, tiny.adapter.manifest, tiny_quantizer(0), tiny_table(0), dict(entries)).sha256
        for entries in (popularity.items(), reversed(popularity.items()))
    }
    assert len(shas) == 1


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {other: tensor for other, tensor in tensors.items() if other != name}


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: change(tensors[name])}


@pytest.mark.parametrize(
    "change",
    [
        without("table"),
        without("centroids"),
        lambda tensors: {**tensors, "surplus": tensors["table"]},
        changed("table", lambda rows: rows[:-1]),
        changed("table", lambda rows: rows[:, :-1]),
        changed("table", lambda rows: rows * np.float32("nan")),
        changed("table", lambda rows: rows.astype(np.float64)),
        changed("table", lambda rows: rows.ravel()),
        changed("centroids", lambda centroids: centroids[:, :-1]),
        changed("centroids", lambda centroids: centroids + np.float32(1)),
        changed("rotation", lambda rotation: rotation[:-1]),
        changed("rotation", lambda rotation: rotation[:, :-1]),
    ],
)
def test_tensors_that_do_not_fit_the_manifest_are_refused(
    tiny: TinyStore, tmp_path: Path, change: Callable[[Tensors], Tensors]
) -> None:
    path = write_tensors(tmp_path, tiny.adapter.manifest, change(written_tensors()))
    with pytest.raises(InvalidArtifactError):
        DomainAdapter.load(path)


@pytest.mark.parametrize(
    "update",
    [
        {"width": WIDTH + 1},
        {"text_dim": TEXT_DIM + 1},
        {"quantizer": "0" * 64},
        {"layout": {"num_codebooks": 2, "codebook_size": 16}},
        {"layout": {"num_codebooks": 0, "codebook_size": 8}},
    ],
)
def test_a_manifest_that_does_not_fit_the_tensors_is_refused(
    tiny: TinyStore, tmp_path: Path, update: dict[str, object]
) -> None:
    manifest = AdapterManifest.model_validate({**tiny.adapter.manifest.model_dump(), **update})
    with pytest.raises(InvalidArtifactError):
        DomainAdapter.load(write_tensors(tmp_path, manifest, written_tensors()))


@pytest.mark.parametrize("popularity", [["a"], {"a": "often"}, {"a": 1.5}, "a"])
def test_popularity_that_is_no_count_is_refused(tiny: TinyStore, tmp_path: Path, popularity: object) -> None:
    path = write_tensors(tmp_path, tiny.adapter.manifest, written_tensors(), popularity)
    with pytest.raises(InvalidArtifactError, match="popularity"):
        DomainAdapter.load(path)


def test_an_artifact_of_another_kind_or_sha256_is_refused(tiny: TinyStore) -> None:
    with pytest.raises(ArtifactMismatchError):
        DomainAdapter.load(tiny.backbone.path)
    with pytest.raises(ArtifactMismatchError):
        DomainAdapter.load(tiny.adapter.path, tiny.backbone.sha256)
