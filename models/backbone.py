"""The backbone artifact: the frozen network, the proof that it computes what it did, and what makes base tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle, read_bundle
from models.codes import CodeLayout
from models.errors import ArtifactMismatchError, InvalidArtifactError, InvalidCodesError
from models.manifest import BackboneManifest, TableKind
from models.quantizer import Quantizer
from models.table import CodeTable
from models.user_network import UserNetwork

GRAPH_FILE = "network.onnx"
GOLDEN_FILE = "golden.safetensors"
WEIGHTS_FILE = "network.safetensors"  # for training alone: adapting needs gradients through the network
PROJECTION_FILE = "projection.safetensors"
MARKS = "item_marks"  # a tensor of the projection's file
BASE_TABLE_FILE = "base-table.safetensors"
BASE_QUANTIZER_FILE = "base-quantizer.safetensors"

# The network was exported on another machine, whose kernels sum in another order.
GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Projection:
    """Makes a base table for any quantiser over the same text encoder: row = weight · centroid + bias.

    Args:
        weight: float32 [width, text_dim].
        bias: float32 [width].
        marks: float32 [F, K, width], what an item's vector holds of its fingerprints, which have no centroid; the same
            for all domains, whatever their number of codebooks.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    marks: npt.NDArray[np.float32]

    def base_table(self, quantizer: Quantizer) -> CodeTable:
        """The zero-shot table of a domain: text alone chooses its rows.

        Raises:
            ArtifactMismatchError: if the quantiser has more fingerprints, or more rows for one, than there are marks.
        """
        rows = quantizer.centroids_in_text_space() @ self.weight.T + self.bias
        count, size = quantizer.num_fingerprints, quantizer.layout.codebook_size
        if count > self.marks.shape[0] or (count and size > self.marks.shape[1]):
            raise ArtifactMismatchError(
                f"codes with {count} fingerprints of {size} cannot have a table of this backbone, "
                f"which has rows for {self.marks.shape[0]} of {self.marks.shape[1]}"
            )
        marks = self.marks[:count, :size].reshape(count * size, rows.shape[1])
        rows[len(rows) - count * size :] += quantizer.layout.num_codebooks * marks  # a vector is the mean of its rows
        return CodeTable(quantizer.layout, rows)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A backbone as the service and the evaluation use it."""

    bundle: Bundle[BackboneManifest]
    network: UserNetwork

    @classmethod
    def load(cls, path: Path, threads: int, sha256: str | None = None) -> "Backbone":
        """Read, verify and open the artifact, and check that the network still gives its golden outputs.

        Raises:
            InvalidArtifactError: if it is damaged or its network computes something else than when it was exported.
            ArtifactNotFoundError, ArtifactMismatchError: see :func:`models.bundle.read_bundle`.
        """
        bundle = read_bundle(path, BackboneManifest, sha256)
        manifest = bundle.manifest
        network = UserNetwork.open(bundle.read_bytes(GRAPH_FILE), manifest.width, manifest.max_history, threads)
        _check_golden(bundle, network)
        return cls(bundle, network)

    @property
    def projection(self) -> Projection:
        return read_projection(self.bundle)


def read_projection(bundle: Bundle[BackboneManifest]) -> Projection:
    """The projection of a verified backbone with projected tables.

    Raises:
        ArtifactMismatchError: if its tables are of another kind.
        InvalidArtifactError: if its shapes are not the manifest's.
    """
    _check_kind(bundle, "projected")
    tensors = bundle.read_tensors(PROJECTION_FILE)
    if not all(tensor.dtype == np.float32 and np.isfinite(tensor).all() for tensor in tensors.values()):
        raise InvalidArtifactError(f"the projection of {bundle.path.name} is not float32 and finite")
    weight, bias = tensors.get("weight"), tensors.get("bias")
    shape = (bundle.manifest.width, bundle.manifest.text_dim)
    marks = tensors.get(MARKS, np.zeros((0, 0, shape[0]), dtype=np.float32))
    if "marks" in tensors:
        raise InvalidArtifactError(f"{bundle.path.name} holds its marks as no release does: train or pre-train it anew")
    if weight is None or bias is None or weight.shape != shape or bias.shape != shape[:1]:
        raise InvalidArtifactError(f"the projection of {bundle.path.name} is not [{shape[0]}, {shape[1]}]")
    if marks.ndim != 3 or marks.shape[2] != shape[0]:
        raise InvalidArtifactError(f"the marks of {bundle.path.name} are not [fingerprints, size, {shape[0]}]")
    return Projection(weight.astype(np.float32), bias.astype(np.float32), marks.astype(np.float32))


def read_base_table(bundle: Bundle[BackboneManifest]) -> CodeTable:
    """The table that a verified backbone with shared or permuted tables was trained with, as every domain had it.

    Raises:
        ArtifactMismatchError: if its tables are projected.
        InvalidArtifactError: if its shapes are not the manifest's, or a value is not finite.
    """
    _check_kind(bundle, "shared", "permuted")
    tensors = _read_float32(bundle, BASE_TABLE_FILE, {"table"})
    try:
        table = CodeTable(_layout(bundle), tensors["table"])
    except InvalidCodesError as error:
        raise InvalidArtifactError(f"the base table of {bundle.path.name} is not sound: {error}") from error
    if table.width != bundle.manifest.width:
        raise InvalidArtifactError(
            f"the base table of {bundle.path.name} is {table.width} wide, its manifest says {bundle.manifest.width}"
        )
    return table


def read_base_quantizer(bundle: Bundle[BackboneManifest]) -> Quantizer:
    """The quantiser that all domains of a verified backbone with shared tables have.

    Raises:
        ArtifactMismatchError: if its tables are of another kind, under which each domain has its own quantiser.
        InvalidArtifactError: if its shapes are not the manifest's, or a value is not finite.
    """
    _check_kind(bundle, "shared")
    tensors = _read_float32(bundle, BASE_QUANTIZER_FILE, {"rotation", "centroids"})
    try:
        quantizer = Quantizer(_layout(bundle), tensors["rotation"], tensors["centroids"])
    except InvalidCodesError as error:
        raise InvalidArtifactError(f"the quantiser of {bundle.path.name} is not sound: {error}") from error
    if quantizer.text_dim != bundle.manifest.text_dim:
        raise InvalidArtifactError(
            f"the quantiser of {bundle.path.name} is for text vectors of {quantizer.text_dim}, "
            f"its manifest says {bundle.manifest.text_dim}"
        )
    return quantizer


def _check_kind(bundle: Bundle[BackboneManifest], *kinds: TableKind) -> None:
    if bundle.manifest.tables not in kinds:
        raise ArtifactMismatchError(
            f"the backbone {bundle.path.name} has {bundle.manifest.tables} tables, not {' or '.join(kinds)} ones"
        )


def _layout(bundle: Bundle[BackboneManifest]) -> CodeLayout:
    layout = bundle.manifest.layout
    if layout is None:
        raise InvalidArtifactError(f"the manifest of {bundle.path.name} gives its base table no layout")
    return CodeLayout(layout.num_codebooks, layout.codebook_size)


def _read_float32(
    bundle: Bundle[BackboneManifest], name: str, expected: set[str]
) -> dict[str, npt.NDArray[np.float32]]:
    if name not in bundle.manifest.files:
        raise InvalidArtifactError(f"{bundle.path.name} lacks {name}")
    tensors = bundle.read_tensors(name)
    if tensors.keys() != expected or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise InvalidArtifactError(f"{name} of {bundle.path.name} must hold {', '.join(sorted(expected))} as float32")
    return cast(dict[str, npt.NDArray[np.float32]], tensors)


def _check_golden(bundle: Bundle[BackboneManifest], network: UserNetwork) -> None:
    golden = bundle.read_tensors(GOLDEN_FILE)
    if golden.keys() != {"vectors", "lengths", "users"}:
        raise InvalidArtifactError(f"{GOLDEN_FILE} of {bundle.path.name} must hold vectors, lengths and users")
    vectors = cast(npt.NDArray[np.float32], golden["vectors"])
    lengths = cast(npt.NDArray[np.int64], golden["lengths"])
    try:
        users = network.user_vectors([row[:length] for row, length in zip(vectors, lengths, strict=True)])
        worst = float(np.abs(users - cast(npt.NDArray[np.float32], golden["users"])).max())
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types where inputs do not fit a graph
        raise InvalidArtifactError(f"the network of {bundle.path.name} cannot be run: {error}") from error
    if not worst <= GOLDEN_TOLERANCE:
        raise InvalidArtifactError(f"the network of {bundle.path.name} is off its golden outputs by {worst:.2g}")
