"""The domain adapter: all that makes one shop of the network, i.e. its quantiser, its table and its popular items."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json
from safetensors.numpy import save as save_safetensors

from models.bundle import Bundle, read_bundle, write_bundle
from models.codes import CodeLayout
from models.errors import InvalidArtifactError, InvalidCodesError
from models.manifest import AdapterManifest
from models.quantizer import Quantizer
from models.table import CodeTable

TENSORS_FILE = "adapter.safetensors"
POPULARITY_FILE = "popularity.json"

_LARGEST_COUNT = 1 << 53  # counts become floats
_POPULARITY_LIMIT = 1 << 27  # bytes: seven million items with ids of ten characters


@dataclass(frozen=True, eq=False)
class DomainAdapter:
    """An adapter in memory.

    Args:
        bundle: the verified artifact that it came from.
        quantizer: text vectors ─► codes.
        table: codes ─► item vectors.
        popularity: item id ─► interactions in training, most popular first.
    """

    bundle: Bundle[AdapterManifest]
    quantizer: Quantizer
    table: CodeTable
    popularity: dict[str, int]

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> "DomainAdapter":
        """Read and verify the artifact at ``path``.

        Raises:
            InvalidArtifactError: if a file is damaged or a tensor does not fit the manifest.
            ArtifactNotFoundError, ArtifactMismatchError: see :func:`models.bundle.read_bundle`.
        """
        bundle = read_bundle(path, AdapterManifest, sha256)
        try:
            quantizer, table = _read_tensors(bundle)
        except InvalidCodesError as error:
            raise InvalidArtifactError(f"{path.name}: {error.detail}") from error
        if quantizer.sha256 != bundle.manifest.quantizer:
            raise InvalidArtifactError(f"the quantiser of {path.name} is not the one its manifest names")
        return cls(bundle, quantizer, table, _read_popularity(bundle))

    @property
    def version(self) -> str:
        return self.bundle.version


def write_adapter(
    folder: Path, manifest: AdapterManifest, quantizer: Quantizer, table: CodeTable, popularity: dict[str, int]
) -> Bundle[AdapterManifest]:
    """Write an adapter as ``folder/<version>``; popularity is written most popular first."""
    tensors = {
        "rotation": np.ascontiguousarray(quantizer.rotation),
        "centroids": np.ascontiguousarray(quantizer.centroids),
        "table": np.ascontiguousarray(table.rows),
    }
    ordered = dict(sorted(popularity.items(), key=lambda entry: (-entry[1], entry[0])))
    files = {
        TENSORS_FILE: save_safetensors(tensors),
        POPULARITY_FILE: json.dumps(ordered, ensure_ascii=False, indent=0).encode(),
    }
    return write_bundle(folder, manifest, files)


def _read_popularity(bundle: Bundle[AdapterManifest]) -> dict[str, int]:
    name = f"{bundle.path.name}/{POPULARITY_FILE}"
    entry = bundle.manifest.files.get(POPULARITY_FILE)
    if entry is not None and entry.bytes > _POPULARITY_LIMIT:
        raise InvalidArtifactError(f"{name} has {entry.bytes} bytes, more than {_POPULARITY_LIMIT}")
    try:
        counts = from_json(bundle.read_bytes(POPULARITY_FILE), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidArtifactError(f"{name} is not a map of item ids to counts: {str(error)[:200]}") from error
    if not isinstance(counts, dict):
        raise InvalidArtifactError(f"{name} is not a map of item ids to counts, but a {type(counts).__name__}")
    # Not pydantic, which would tell of each of a million wrong counts, and take seconds and gigabytes for it.
    for item_id, count in counts.items():
        if type(count) is not int or not 0 <= count <= _LARGEST_COUNT:
            raise InvalidArtifactError(f"{name} has no count from 0 to {_LARGEST_COUNT} for {item_id[:100]!r}")
    return counts


def _read_tensors(bundle: Bundle[AdapterManifest]) -> tuple[Quantizer, CodeTable]:
    manifest, tensors = bundle.manifest, bundle.read_tensors(TENSORS_FILE)
    if tensors.keys() != {"rotation", "centroids", "table"}:
        raise InvalidCodesError(
            f"{TENSORS_FILE} must hold rotation, centroids and table, not {str(sorted(tensors))[:200]}"
        )
    if any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise InvalidCodesError(f"the tensors of {TENSORS_FILE} must be float32")
    floats = cast(dict[str, npt.NDArray[np.float32]], tensors)
    layout = CodeLayout(manifest.layout.num_codebooks, manifest.layout.codebook_size)
    quantizer = Quantizer(layout, floats["rotation"], floats["centroids"])
    if quantizer.centroids.size == 0:
        raise InvalidCodesError(f"centroids are {list(quantizer.centroids.shape)}, which tells no item from another")
    table = CodeTable(layout, floats["table"])
    if (quantizer.text_dim, table.width) != (manifest.text_dim, manifest.width):
        raise InvalidCodesError(
            f"the tensors have text_dim {quantizer.text_dim} and width {table.width}, "
            f"the manifest says {manifest.text_dim} and {manifest.width}"
        )
    return quantizer, table
