"""A shop's trained table ─► the adapter artifact."""

from models.adapter import write_adapter
from models.bundle import Bundle
from models.manifest import AdapterManifest, BackboneManifest, LayoutManifest
from models.store import ArtifactStore
from training.backbone_export import made_with
from training.config import TrainingConfig
from training.next_item_model import NextItemModel


def export_adapter(
    store: ArtifactStore, domain: str, model: NextItemModel, backbone: Bundle[BackboneManifest], config: TrainingConfig
) -> Bundle[AdapterManifest]:
    """Write ``adapters/<domain>/<version>`` for the one shop that ``model`` holds, with its validation metrics."""
    model.eval()
    shop, table = model.shops[0], model.tables.fold(0)
    layout = shop.quantizer.layout
    manifest = AdapterManifest(
        domain=domain,
        layout=LayoutManifest(num_codebooks=layout.num_codebooks, codebook_size=layout.codebook_size),
        text_dim=shop.quantizer.text_dim,
        width=table.width,
        backbone=backbone.sha256,
        text_encoder=backbone.manifest.text_encoder,
        quantizer=shop.quantizer.sha256,
        metrics={"valid": model.evaluate(0, shop.split.valid)},
        made_with={**made_with(config), "data": shop.dataset.fingerprint},
    )
    return write_adapter(store.adapters(domain), manifest, shop.quantizer, table, shop.popularity)
