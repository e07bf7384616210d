"""A trained network and projection ─► the backbone artifact; and back into torch, to adapt a shop to it."""

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.numpy import save as save_safetensors

from models.backbone import GOLDEN_FILE, GRAPH_FILE, PROJECTION_FILE, WEIGHTS_FILE, Projection
from models.bundle import Bundle, read_bundle, write_bundle
from models.errors import InvalidArtifactError
from models.manifest import BackboneManifest, TextEncoderManifest
from models.networks.transformer import UserTransformer
from training.config import NetworkConfig, TrainingConfig
from training.network_export import export_network, golden_example


def write_backbone(
    folder: Path,
    network: UserTransformer,
    projection: Projection,
    text_encoder: Bundle[TextEncoderManifest],
    config: TrainingConfig,
) -> Bundle[BackboneManifest]:
    """Export into ``folder/<version>``.

    Raises:
        ExportError: if ONNX and torch do not agree.
    """
    sizes = config.network
    manifest = BackboneManifest(
        architecture=sizes.architecture,
        width=sizes.width,
        max_history=sizes.max_history,
        temperature=sizes.temperature,
        text_encoder=text_encoder.sha256,
        text_dim=text_encoder.manifest.text_dim,
        made_with=made_with(config),
    )
    weights = {name: tensor.detach().numpy() for name, tensor in sorted(network.state_dict().items())}
    files = {
        GRAPH_FILE: export_network(network, sizes.width, sizes.max_history),
        GOLDEN_FILE: save_safetensors(golden_example(network, sizes.width, sizes.max_history)),
        WEIGHTS_FILE: save_safetensors(weights),
        PROJECTION_FILE: save_safetensors({"weight": projection.weight, "bias": projection.bias}),
    }
    return write_bundle(folder, manifest, files)


def read_backbone(path: Path) -> tuple[Bundle[BackboneManifest], UserTransformer, NetworkConfig]:
    """The verified artifact at ``path``, its network in torch, frozen whole, and that network's sizes.

    Raises:
        InvalidArtifactError: if the weights do not fit the manifest.
        ArtifactNotFoundError, ArtifactMismatchError: see :func:`models.bundle.read_bundle`.
    """
    bundle = read_bundle(path, BackboneManifest)
    manifest = bundle.manifest
    network = UserTransformer(manifest.architecture, manifest.width, manifest.max_history)
    weights = {name: torch.from_numpy(array) for name, array in bundle.read_tensors(WEIGHTS_FILE).items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InvalidArtifactError(f"the weights of {path.name} do not fit its manifest: {error}") from error
    network.requires_grad_(False)
    sizes = NetworkConfig(manifest.architecture, manifest.width, manifest.max_history, manifest.temperature)
    return bundle, network, sizes


def made_with(config: TrainingConfig) -> dict[str, object]:
    """What a manifest says of how its artifact came about. No dates: the same run gives the same bytes."""
    return {"torch": torch.__version__, "fit": asdict(config.fit)}
