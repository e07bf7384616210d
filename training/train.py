"""``vqrec train``: a network and a table from scratch, for one shop alone."""

from dataclasses import dataclass, replace

from models.bundle import Bundle
from models.cpu import available_cpus
from models.manifest import AdapterManifest, BackboneManifest
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.adapter_export import export_adapter
from training.backbone_export import base_of, write_backbone
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.loop import fit
from training.next_item_model import new_model
from training.one_shop import one_shop_task
from training.progress import say
from training.share import share_of_users
from training.shop import open_shop
from training.text_encoder_export import provide_text_encoder


@dataclass(frozen=True)
class TrainedShop:
    """What ``train`` wrote."""

    backbone: Bundle[BackboneManifest]
    adapter: Bundle[AdapterManifest]


def train(dataset: Dataset, domain: str, store: ArtifactStore, config: TrainingConfig) -> TrainedShop:
    """Train for one shop and write its text encoder, backbone and adapter into ``store``.

    Every position of a history is predicted in one pass, by softmax over the items of the training split, cosine and
    temperature. Training stops when validation NDCG@10 does, and an interrupted run resumes.

    With a share of the users, the others' interactions are not seen at all; the quantiser is trained on the texts of
    all items of the training split, as ``adapt`` does.

    Raises:
        DataError: if the histories are too short to train on, or too few users are drawn.
    """
    encoder = TextEncoder.load(provide_text_encoder(config.text_encoder, store), available_cpus())
    shop = open_shop(dataset, encoder, store, config.new_quantizer)
    shop = replace(shop, split=share_of_users(shop.split, config.share, config.fit.seed))
    model = new_model([shop], config)
    task = one_shop_task(f"training {domain}", model, config.network.max_history, model.shared)
    checkpoints = CheckpointFolder.of_run(store.cache, "train", (dataset.fingerprint, shop.quantizer.sha256), config)
    result = fit(task, config.fit, checkpoints)
    say(f"training {domain}: {result}")
    model.eval()
    base = base_of(model, config.tables)
    backbone = write_backbone(store.backbones, model.network, base, encoder.bundle, config)
    adapter = export_adapter(store, domain, model, backbone, config)
    checkpoints.clear()
    return TrainedShop(backbone, adapter)
