"""``vqrec adapt``: a table for one shop, under a network that stays as it is."""

import hashlib
from pathlib import Path

from torch import nn

from models.adapter import DomainAdapter
from models.backbone import read_projection
from models.bundle import Bundle
from models.cpu import available_cpus
from models.errors import ArtifactMismatchError
from models.manifest import AdapterManifest
from models.networks.code_embedding import TiedCodeEmbedding
from models.quantizer import Quantizer
from models.store import BACKBONES, ArtifactStore
from models.text_encoder import TextEncoder
from training.adapter_export import export_adapter
from training.backbone_export import read_backbone
from training.batches import epoch_batches, number_of_batches, training_sequences
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.loop import Task, fit
from training.next_item_model import NextItemModel
from training.progress import say
from training.shop import NewQuantizer, open_shop


class NetworkChangedError(RuntimeError):
    """Adapting changed the network, which every other shop relies on."""


def adapt(
    dataset: Dataset, domain: str, backbone_path: Path, store: ArtifactStore, config: TrainingConfig
) -> Bundle[AdapterManifest]:
    """Train a table and write the adapter into ``store``, with the backbone and text encoder that it needs beside it.

    The table starts from the backbone's projection of the shop's own centroids, which is the zero-shot table, and its
    free rows are tuned by softmax over the items of the training split. The network and the projection are frozen
    whole; that the network left as it came is checked. Where tuning does not improve validation, the start is kept.

    With ``config.quantizer_of`` all codes that a service holds stay valid, and swapping to the new table takes no
    quantising.

    Raises:
        DataError: if the histories are too short to train on.
        NetworkChangedError: if a weight of the network changed; nothing is written then.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: if the backbone, its text encoder or the
            adapter is not there or not sound, or the adapter was made with another text encoder.
    """
    backbone, network, sizes = read_backbone(backbone_path)
    store.take_over(backbone_path, store.backbones)
    encoder = TextEncoder.load(_text_encoder_of(backbone_path, backbone.manifest.text_encoder, store), available_cpus())
    shop = open_shop(dataset, encoder, store, _quantizer(config, backbone.manifest.text_encoder))
    tables = TiedCodeEmbedding([shop.quantizer], sizes.width)
    tables.freeze_projection(read_projection(backbone))
    model = NextItemModel(network, tables, [shop], sizes.temperature)
    before = weights_sha256(network)
    sequences = training_sequences(shop.split.train, sizes.max_history)
    task = Task(
        label=f"adapting {domain}",
        model=model,
        batches=lambda seed: epoch_batches(sequences, seed),
        batches_per_epoch=number_of_batches(sequences),
        loss=model.full_softmax,
        validate=lambda: model.evaluate(0, shop.split.valid)["ndcg@10"],
    )
    checkpoints = CheckpointFolder.of_run(
        store.cache, "adapt", dataset.fingerprint, backbone.sha256, shop.quantizer.sha256, config
    )
    result = fit(task, config.fit, checkpoints)
    if weights_sha256(network) != before:
        raise NetworkChangedError("adapting changed the network: this is a fault of vqrec, nothing was written")
    say(f"adapting {domain}: best after epoch {result.best_epoch}, validation NDCG@10 {result.best_score:.4f}")
    adapter = export_adapter(store, domain, model, backbone, config)
    checkpoints.clear()
    return adapter


def weights_sha256(network: nn.Module) -> str:
    """Tells whether any weight or buffer of a network is another than before: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _quantizer(config: TrainingConfig, text_encoder: str) -> Quantizer | NewQuantizer:
    if config.quantizer_of is None:
        return config.new_quantizer
    adapter = DomainAdapter.load(config.quantizer_of)
    if adapter.bundle.manifest.text_encoder != text_encoder:
        raise ArtifactMismatchError(
            f"the quantiser of {config.quantizer_of.name} is made for another text encoder than the backbone's"
        )
    return adapter.quantizer


def _text_encoder_of(backbone_path: Path, sha256: str, store: ArtifactStore) -> Path:
    resolved = backbone_path.resolve()
    home = ArtifactStore(resolved.parents[1]) if resolved.parent.name == BACKBONES else store
    return store.take_over(home.find(home.text_encoders, sha256), store.text_encoders)
