"""A shop's table, tuned or as the backbone gave it ─► the adapter artifact."""

from dataclasses import dataclass, field

from models.adapter import write_adapter
from models.bundle import Bundle
from models.manifest import AdapterManifest, BackboneManifest, LayoutManifest
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.table import CodeTable
from training.backbone_export import made_with
from training.config import TrainingConfig
from training.next_item_model import NextItemModel


@dataclass(frozen=True, eq=False)
class AdapterContents:
    """What an adapter holds.

    Args:
        domain: the name that it is served under.
        quantizer: text vectors ─► codes.
        table: codes ─► item vectors.
        made_with: what it came about from, for people to read.
        popularity: item id ─► interactions in training; empty where none were seen.
        metrics: by the part of the data; empty where there was nothing to measure on.
    """

    domain: str
    quantizer: Quantizer
    table: CodeTable
    made_with: dict[str, object]
    popularity: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)


def export_adapter(
    store: ArtifactStore, domain: str, model: NextItemModel, backbone: Bundle[BackboneManifest], config: TrainingConfig
) -> Bundle[AdapterManifest]:
    """Write ``adapters/<domain>/<version>`` for the one shop that ``model`` holds, with its validation metrics."""
    model.eval()
    shop = model.shops[0]
    contents = AdapterContents(
        domain,
        shop.quantizer,
        model.tables.fold(0),
        {**made_with(config), **_share(config), "data": shop.dataset.fingerprint},
        shop.popularity,
        {"valid": model.evaluate(0, shop.split.valid)},
    )
    return write_contents(store, contents, backbone)


def write_contents(
    store: ArtifactStore, contents: AdapterContents, backbone: Bundle[BackboneManifest]
) -> Bundle[AdapterManifest]:
    """Write ``adapters/<domain>/<version>`` for a shop under ``backbone``."""
    quantizer = contents.quantizer
    layout = LayoutManifest(num_codebooks=quantizer.layout.num_codebooks, codebook_size=quantizer.layout.codebook_size)
    manifest = AdapterManifest(
        domain=contents.domain,
        layout=layout,
        text_dim=quantizer.text_dim,
        width=contents.table.width,
        backbone=backbone.sha256,
        text_encoder=backbone.manifest.text_encoder,
        quantizer=quantizer.sha256,
        metrics=contents.metrics,
        made_with=contents.made_with,
    )
    return write_adapter(store.adapters(contents.domain), manifest, quantizer, contents.table, contents.popularity)


def _share(config: TrainingConfig) -> dict[str, object]:
    """Whose metrics the adapter names: of how many of the users; nothing where those are all."""
    return {"share": config.share} if config.share < 1 else {}
