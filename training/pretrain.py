"""``vqrec pretrain``: one network from several shops, and what gives others their base tables."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.bundle import Bundle, read_bundle
from models.codes import CodeLayout
from models.cpu import available_cpus
from models.manifest import BackboneManifest, TableKind
from models.networks.code_embedding import CodeEmbedding, TiedCodeEmbedding
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.backbone_export import base_of, write_backbone
from training.batches import Batch, epoch_batches, number_of_batches, training_sequences
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.distributed import ALONE, Processes
from training.histories import Targets
from training.journal import Journal
from training.loop import Task, fit
from training.next_item_model import NextItemModel, new_model
from training.progress import say
from training.shop import Shop, UncodedShop, read_shop, train_quantizers
from training.text_encoder_export import provide_text_encoder

VALIDATION_USERS = 4096
"""The most users of a shop that an epoch is validated on; all of a large shop would take longer than the epoch."""


def pretrain(
    datasets: Mapping[str, Dataset],
    store: ArtifactStore,
    config: TrainingConfig,
    processes: Processes = ALONE,
    open_journal: Callable[[Path], Journal] | None = None,
) -> Bundle[BackboneManifest]:
    """Train on all shops at once and write the text encoder and the backbone into ``store``.

    Batches mix the shops. The negatives are the other targets of a batch, whatever their shop, and
    ``config.drawn_negatives`` items drawn evenly from all that occur in training. With a ``config.redrawn_share`` above
    0, which is not the default, a code made from each of these is one, too (VQ-Rec, section 3.3; there no items are
    drawn). Training stops when the mean validation NDCG@10 does.

    The backbone keeps the network and, by ``config.tables``, the projection that makes a base table for any shop
    (each shop's own quantiser and free rows stay behind), or the one table of all shops, with their quantiser where
    they share it.

    Args:
        datasets: by name, at least one.
        store: where everything is written; the same folder for all processes.
        config: of the run.
        processes: those that train together; the first one writes.
        open_journal: makes what takes down the course of the training, such as ``TensorBoardJournal``, in a folder of
            the run's own below ``logs/`` of the store.

    Raises:
        DataError: if the histories of a shop are too short to train on.
    """
    with processes.first_speaks():
        with processes.first_goes_first():
            encoder = TextEncoder.load(provide_text_encoder(config.text_encoder, store), available_cpus())
        shops = open_shops(datasets, encoder, store, config, processes)
        identity = [(shop.dataset.fingerprint, shop.quantizer.sha256) for shop in shops]
        checkpoints = CheckpointFolder.of_run(store.cache, "pretrain", identity, config)
        journal = Journal()
        if open_journal is not None and processes.is_first:
            journal = open_journal(store.root / "logs" / f"pretrain-{checkpoints.path.name}")
        model = new_model(shops, config)
        task = contrastive_task(f"pre-training on {', '.join(datasets)}", model, config, processes, journal)
        result = fit(task, config.fit, checkpoints, processes, journal)
        journal.close()
        say(f"{task.label}: {result}")
        if not processes.is_first:
            return read_bundle(store.backbones / processes.text_from_first(None), BackboneManifest)
        base = base_of(model.eval(), config.tables)
        backbone = write_backbone(store.backbones, model.network, base, encoder.bundle, config)
        checkpoints.clear()
        processes.text_from_first(backbone.version)
        return backbone


def open_shops(
    datasets: Mapping[str, Dataset],
    encoder: TextEncoder,
    store: ArtifactStore,
    config: TrainingConfig,
    processes: Processes = ALONE,
) -> list[Shop]:
    """Make all shops ready, with quantisers as ``config.tables`` asks for. The first process encodes and quantises."""
    shops = []
    with processes.first_goes_first():
        for name, dataset in datasets.items():
            say(f"reading {name}: {len(dataset.item_ids)} items, {len(dataset.histories)} users")
            shops.append(read_shop(dataset, encoder, store))
    trained: Sequence[Quantizer | None] = [None] * len(shops)
    if processes.is_first:
        trained = train_quantizers(shops, config.new_quantizer, config.tables)
    return [_coded(shop, quantizer, processes) for shop, quantizer in zip(shops, trained, strict=True)]


def _coded(shop: UncodedShop, trained: Quantizer | None, processes: Processes) -> Shop:
    rotation = processes.array_from_first(None if trained is None else trained.rotation)
    centroids = processes.array_from_first(None if trained is None else trained.centroids)
    indices = processes.number_from_first(lambda: 0 if trained is None else trained.layout.num_codebooks)
    return shop.coded(Quantizer(CodeLayout(int(indices), centroids.shape[1]), rotation, centroids))


def contrastive_task(
    label: str,
    model: NextItemModel,
    config: TrainingConfig,
    processes: Processes = ALONE,
    journal: Journal | None = None,
) -> Task:
    """Pre-training as the loop sees it; this process takes its part of every batch."""
    sequences = mixed_sequences(model, config.network.max_history)
    targets = [sample_targets(shop.split.valid, VALIDATION_USERS, config.fit.seed) for shop in model.shops]

    def loss(batch: Batch) -> torch.Tensor:
        part = batch.part(processes.rank, processes.count)
        return model.in_batch_contrastive(part, batch, config.redrawn_share, config.drawn_negatives)

    return Task(
        label=label,
        model=model,
        batches=lambda seed: epoch_batches(sequences, seed, config.batch_limits),
        batches_per_epoch=number_of_batches(sequences, config.batch_limits),
        loss=loss,
        validate=lambda: mean_validation(model, targets, config.tables, journal or Journal()),
        shared=model.shared,
    )


def mixed_sequences(model: NextItemModel, max_history: int) -> list[npt.NDArray[np.int32]]:
    """The training sequences of all shops in the model's common numbering of items."""
    return [
        sequence + np.int32(first)
        for shop, first in zip(model.shops, model.first_items, strict=False)
        for sequence in training_sequences(shop.split.train, max_history)
    ]


def sample_targets(targets: Targets, most: int, seed: int) -> Targets:
    """The targets of at most so many users, drawn by the seed."""
    if len(targets) <= most:
        return targets
    chosen = np.zeros(len(targets), dtype=np.bool_)
    chosen[np.random.default_rng(seed).permutation(len(targets))[:most]] = True
    return Targets(targets.histories.of_users(chosen), targets.items[chosen])


def mean_validation(model: NextItemModel, targets: Sequence[Targets], kind: TableKind, journal: Journal) -> float:
    """NDCG@10 averaged over the shops, so that a large one does not decide alone, under the tables that are exported.

    With projected tables those are base tables, which hold nothing of what rows have learned: what counts is what a
    shop gets that is not among these.

    Args:
        model: what is validated.
        targets: of each of its shops.
        kind: of its tables.
        journal: gets every metric of every shop as ``valid/<number of the shop>/<metric>``.
    """
    scores = []
    with _as_exported(model.tables, kind):
        for domain, of_shop in enumerate(targets):
            metrics = model.evaluate(domain, of_shop)
            for name, value in metrics.items():
                journal.note(f"valid/{domain}/{name}", value)
            scores.append(metrics["ndcg@10"])
    return float(np.mean(scores))


def _as_exported(tables: CodeEmbedding, kind: TableKind) -> AbstractContextManager[None]:
    return tables.base_tables() if kind == "projected" and isinstance(tables, TiedCodeEmbedding) else nullcontext()
