"""``vqrec pretrain``: one network and one projection from several shops, to be adapted to others."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.cpu import available_cpus
from models.manifest import BackboneManifest
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.backbone_export import write_backbone
from training.batches import epoch_batches, number_of_batches, training_sequences
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.loop import Task, fit
from training.next_item_model import NextItemModel, new_model
from training.progress import say
from training.shop import Shop, open_shop
from training.text_encoder_export import provide_text_encoder


def pretrain(datasets: Mapping[str, Dataset], store: ArtifactStore, config: TrainingConfig) -> Bundle[BackboneManifest]:
    """Train on all shops at once and write the text encoder and the backbone into ``store``.

    Batches mix the shops; the other targets of a batch, whatever their shop, are the negatives (VQ-Rec, section 3.3).
    Each shop has its own quantiser and its own free rows, which stay behind: the backbone keeps the network and the
    projection that makes a base table for any shop. Training stops when the mean validation NDCG@10 does.

    Args:
        datasets: by name, at least one.

    Raises:
        DataError: if the histories of a shop are too short to train on.
    """
    encoder = TextEncoder.load(provide_text_encoder(config.text_encoder, store), available_cpus())
    shops = []
    for name, dataset in datasets.items():
        say(f"reading {name}: {len(dataset.item_ids)} items, {len(dataset.histories)} users")
        shops.append(open_shop(dataset, encoder, store, config.new_quantizer))
    model = new_model(shops, config)
    sequences = mixed_sequences(model, shops, config.network.max_history)
    task = Task(
        label=f"pre-training on {', '.join(datasets)}",
        model=model,
        batches=lambda seed: epoch_batches(sequences, seed),
        batches_per_epoch=number_of_batches(sequences),
        loss=model.in_batch_contrastive,
        validate=lambda: mean_validation(model),
    )
    identity = [(shop.dataset.fingerprint, shop.quantizer.sha256) for shop in shops]
    checkpoints = CheckpointFolder.of_run(store.cache, "pretrain", identity, config)
    result = fit(task, config.fit, checkpoints)
    say(f"{task.label}: best after epoch {result.best_epoch}, mean validation NDCG@10 {result.best_score:.4f}")
    projection = model.tables.export_projection()
    backbone = write_backbone(store.backbones, model.network.eval(), projection, encoder.bundle, config)
    checkpoints.clear()
    return backbone


def mixed_sequences(model: NextItemModel, shops: Sequence[Shop], max_history: int) -> list[npt.NDArray[np.int32]]:
    """The training sequences of all shops in the model's common numbering of items."""
    return [
        sequence + np.int32(first)
        for shop, first in zip(shops, model.first_items, strict=False)
        for sequence in training_sequences(shop.split.train, max_history)
    ]


def mean_validation(model: NextItemModel) -> float:
    """NDCG@10 on the validation targets, averaged over the shops, so that a large one does not decide alone."""
    scores = [model.evaluate(domain, shop.split.valid)["ndcg@10"] for domain, shop in enumerate(model.shops)]
    return float(np.mean(scores))
