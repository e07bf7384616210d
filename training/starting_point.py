"""What a backbone gives a shop to start from: network, text encoder, its quantiser or how one is made, base table."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import numpy as np

from models.adapter import DomainAdapter
from models.backbone import Projection, read_base_quantizer, read_base_table, read_projection
from models.bundle import Bundle
from models.codes import CodeLayout
from models.cpu import available_cpus
from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.manifest import BackboneManifest
from models.networks.permutation import permuted
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer
from models.store import BACKBONES, ArtifactStore
from models.table import CodeTable
from models.text_encoder import TextEncoder
from training.backbone_export import read_backbone
from training.config import NetworkConfig, TrainingConfig
from training.progress import say
from training.shop import NewQuantizer


@dataclass(frozen=True, eq=False)
class StartingPoint:
    """A verified backbone, open for adapting.

    Args:
        backbone: the artifact.
        network: in torch, frozen whole.
        sizes: of the network.
        encoder: the text encoder that the backbone names.
        quantizer: that the shop shall have: one that is there, or how a new one is trained.
    """

    backbone: Bundle[BackboneManifest]
    network: UserTransformer
    sizes: NetworkConfig
    encoder: TextEncoder
    quantizer: Quantizer | NewQuantizer

    @classmethod
    def open(cls, backbone_path: Path, store: ArtifactStore, config: TrainingConfig) -> "StartingPoint":
        """Read the backbone and its text encoder, and copy both into ``store``.

        Raises:
            InvalidArtifactError, ArtifactNotFoundError: if one of them is not there or not sound.
            ArtifactMismatchError: if the quantiser to keep does not go with the backbone.
        """
        backbone, network, sizes = read_backbone(backbone_path)
        store.take_over(backbone_path, store.backbones)
        encoder_path = _text_encoder_of(backbone_path, backbone.manifest.text_encoder, store)
        encoder = TextEncoder.load(encoder_path, available_cpus())
        return cls(backbone, network, sizes, encoder, _quantizer_for(backbone, config))

    def base_table(self, quantizer: Quantizer) -> CodeTable:
        """The table that the shop starts from before any of its interactions is seen.

        With permuted tables its rows are in the order of the backbone's, which means nothing to the shop's codes yet:
        which is which is for :mod:`training.align` to learn.

        Raises:
            ArtifactMismatchError: if the quantiser's codes do not fit the backbone's table.
            InvalidArtifactError: if the backbone is not sound.
        """
        match self.backbone.manifest.tables:
            case "projected":
                return read_projection(self.backbone).base_table(quantizer)
            case "shared":
                return read_base_table(self.backbone)
            case "permuted":
                return _first_rows(read_base_table(self.backbone), quantizer)
            case kind:
                assert_never(kind)


def _quantizer_for(backbone: Bundle[BackboneManifest], config: TrainingConfig) -> Quantizer | NewQuantizer:
    """With shared tables the backbone's; with permuted ones of the backbone's layout, whatever is wished for."""
    kept = None if config.quantizer_of is None else _kept(config.quantizer_of, backbone)
    match backbone.manifest.tables:
        case "projected":
            return kept or marked(config.new_quantizer, read_projection(backbone))
        case "shared":
            shared = read_base_quantizer(backbone)
            if kept is not None and kept.sha256 != shared.sha256:
                raise ArtifactMismatchError(
                    f"the backbone {backbone.version} brings the quantiser of all its shops: no other can be kept"
                )
            return shared
        case "permuted":
            table = read_base_table(backbone)
            if kept is not None:
                _check_fits(table, kept)
            return kept or NewQuantizer(table.layout, config.fit.seed)
        case kind:
            assert_never(kind)


def marked(wanted: NewQuantizer, projection: Projection) -> NewQuantizer:
    """The same with as many fingerprints as the backbone knows, and no more centroids than it has marks for each.

    Raises:
        ArtifactMismatchError: if fingerprints leave no codebook for texts.
        InvalidArtifactError: if there are too few marks for any codebook.
    """
    count, size = projection.marks.shape[:2]
    layout = wanted.layout
    if count >= layout.num_codebooks:
        raise ArtifactMismatchError(
            f"the backbone's codes have {count} fingerprints: "
            f"{layout.num_codebooks} indices leave no codebook for texts"
        )
    if count and size < layout.codebook_size:
        if size < 2:
            raise InvalidArtifactError(f"the backbone has marks for {size} centroids a codebook: two are the least")
        layout = CodeLayout(layout.num_codebooks, 1 << (size.bit_length() - 1))  # a power of two, as all sizes are
        say(
            f"the backbone has marks for {size} centroids a codebook: "
            f"using {layout.num_codebooks} x {layout.codebook_size}"
        )
    return replace(wanted, layout=layout, fingerprints=count)


def _kept(adapter_path: Path, backbone: Bundle[BackboneManifest]) -> Quantizer:
    adapter = DomainAdapter.load(adapter_path)
    if adapter.bundle.manifest.text_encoder != backbone.manifest.text_encoder:
        raise ArtifactMismatchError(
            f"the quantiser of {adapter_path.name} is made for another text encoder than the backbone's"
        )
    return adapter.quantizer


def _first_rows(table: CodeTable, quantizer: Quantizer) -> CodeTable:
    _check_fits(table, quantizer)
    books, size = quantizer.layout.num_codebooks, quantizer.layout.codebook_size
    in_order = np.tile(np.arange(size, dtype=np.int64), (books, 1))
    return permuted(table.rows.reshape(books, -1, table.width), in_order)


def _check_fits(table: CodeTable, quantizer: Quantizer) -> None:
    books, size = quantizer.layout.num_codebooks, quantizer.layout.codebook_size
    if books != table.layout.num_codebooks or size > table.layout.codebook_size:
        raise ArtifactMismatchError(
            f"codes of {books} x {size} do not fit a base table of "
            f"{table.layout.num_codebooks} x {table.layout.codebook_size}"
        )
    if quantizer.num_fingerprints:
        raise ArtifactMismatchError("codes with fingerprints do not fit a permuted base table, which knows none")


def _text_encoder_of(backbone_path: Path, sha256: str, store: ArtifactStore) -> Path:
    resolved = backbone_path.resolve()
    home = ArtifactStore(resolved.parents[1]) if resolved.parent.name == BACKBONES else store
    return store.take_over(home.find(home.text_encoders, sha256), store.text_encoders)
