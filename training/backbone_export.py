"""A trained network and its base tables ─► the backbone artifact; and back into torch, to adapt a shop to it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as save_safetensors

from models.backbone import (
    BASE_QUANTIZER_FILE,
    BASE_TABLE_FILE,
    GOLDEN_FILE,
    GRAPH_FILE,
    MARKS,
    PROJECTION_FILE,
    WEIGHTS_FILE,
    Projection,
)
from models.bundle import Bundle, read_bundle, write_bundle
from models.errors import InvalidArtifactError
from models.manifest import BackboneManifest, LayoutManifest, TableKind, TextEncoderManifest
from models.networks.code_embedding import TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer
from models.table import CodeTable
from training.config import NetworkConfig, TrainingConfig
from training.network_export import export_network, golden_example
from training.next_item_model import NextItemModel


@dataclass(frozen=True, eq=False)
class BaseTable:
    """The table that all shops were trained with.

    Args:
        table: its rows.
        quantizer: that of all shops, whose codes address the rows; None where each shop had its own, so that the rows
            have no meaning in text.
    """

    table: CodeTable
    quantizer: Quantizer | None


def base_of(model: NextItemModel, kind: TableKind) -> Projection | BaseTable:
    """What the backbone of a trained model keeps to make base tables.

    Raises:
        ValueError: if the model has tables of another kind.
    """
    tables = model.tables
    if kind == "projected" and isinstance(tables, TiedCodeEmbedding):
        return tables.export_projection()
    if kind == "shared" and len({shop.quantizer.sha256 for shop in model.shops}) == 1:
        return BaseTable(tables.fold(0), model.shops[0].quantizer)
    if kind == "permuted" and len(set(tables.first_rows)) == 1:
        return BaseTable(tables.fold(0), None)
    raise ValueError(f"the model was not trained with {kind} tables")


def write_backbone(
    folder: Path,
    network: UserTransformer,
    base: Projection | BaseTable,
    text_encoder: Bundle[TextEncoderManifest],
    config: TrainingConfig,
) -> Bundle[BackboneManifest]:
    """Export into ``folder/<version>``.

    Raises:
        ExportError: if ONNX and torch do not agree.
    """
    sizes = config.network
    tables, layout, base_files = _describe(base)
    manifest = BackboneManifest(
        architecture=sizes.architecture,
        width=sizes.width,
        max_history=sizes.max_history,
        temperature=sizes.temperature,
        text_encoder=text_encoder.sha256,
        text_dim=text_encoder.manifest.text_dim,
        tables=tables,
        layout=layout,
        made_with=made_with(config),
    )
    weights = {name: tensor.detach().numpy() for name, tensor in sorted(network.state_dict().items())}
    files = {
        GRAPH_FILE: export_network(network, sizes.width, sizes.max_history),
        GOLDEN_FILE: save_safetensors(golden_example(network, sizes.width, sizes.max_history)),
        WEIGHTS_FILE: save_safetensors(weights),
        **base_files,
    }
    return write_bundle(folder, manifest, files)


def _describe(base: Projection | BaseTable) -> tuple[TableKind, LayoutManifest | None, dict[str, bytes]]:
    if isinstance(base, Projection):
        projection = {"weight": base.weight, "bias": base.bias, MARKS: base.marks}
        return "projected", None, {PROJECTION_FILE: save_safetensors(projection)}
    table, quantizer = base.table, base.quantizer
    layout = LayoutManifest(num_codebooks=table.layout.num_codebooks, codebook_size=table.layout.codebook_size)
    files = {BASE_TABLE_FILE: save_safetensors({"table": np.ascontiguousarray(table.rows)})}
    if quantizer is None:
        return "permuted", layout, files
    tensors = {
        "rotation": np.ascontiguousarray(quantizer.rotation),
        "centroids": np.ascontiguousarray(quantizer.centroids),
    }
    return "shared", layout, {**files, BASE_QUANTIZER_FILE: save_safetensors(tensors)}


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
