"""The backbone artifact: the frozen network, the proof that it computes what it did, and what makes base tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle, read_bundle
from models.errors import InvalidArtifactError
from models.manifest import BackboneManifest
from models.quantizer import Quantizer
from models.table import CodeTable
from models.user_network import UserNetwork

GRAPH_FILE = "network.onnx"
GOLDEN_FILE = "golden.safetensors"
WEIGHTS_FILE = "network.safetensors"  # for training alone: adapting needs gradients through the network
PROJECTION_FILE = "projection.safetensors"

# The network was exported on another machine, whose kernels sum in another order.
GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Projection:
    """Makes a base table for any quantiser over the same text encoder: row = weight · centroid + bias.

    Args:
        weight: float32 [width, text_dim].
        bias: float32 [width].
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def base_table(self, quantizer: Quantizer) -> CodeTable:
        """The zero-shot table of a domain: text alone chooses its rows."""
        return CodeTable(quantizer.layout, quantizer.centroids_in_text_space() @ self.weight.T + self.bias)


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
    """The projection of a verified backbone; raises InvalidArtifactError if its shapes are not the manifest's."""
    tensors = bundle.read_tensors(PROJECTION_FILE)
    weight, bias = tensors.get("weight"), tensors.get("bias")
    shape = (bundle.manifest.width, bundle.manifest.text_dim)
    if weight is None or bias is None or weight.shape != shape or bias.shape != shape[:1]:
        raise InvalidArtifactError(f"the projection of {bundle.path.name} is not [{shape[0]}, {shape[1]}]")
    return Projection(weight.astype(np.float32), bias.astype(np.float32))


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
