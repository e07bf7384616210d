"""``vqrec adapt``: a table for one shop, under a network that stays as it is."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from models.backbone import read_base_table, read_projection
from models.bundle import Bundle
from models.manifest import AdapterManifest
from models.networks.code_embedding import CodeEmbedding, TiedCodeEmbedding
from models.store import ArtifactStore
from training.adapt_config import AdaptConfig
from training.adapter_export import export_adapter
from training.align import align
from training.checkpoint import CheckpointFolder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.loop import fit
from training.next_item_model import NextItemModel
from training.one_shop import one_shop_task
from training.progress import say
from training.share import share_of_users
from training.shop import Shop, open_shop
from training.starting_point import StartingPoint


class NetworkChangedError(RuntimeError):
    """Adapting changed the network, which every other shop relies on."""


def adapt(
    dataset: Dataset, domain: str, backbone_path: Path, store: ArtifactStore, config: TrainingConfig
) -> Bundle[AdapterManifest]:
    """Train a table and write the adapter into ``store``, with the backbone and text encoder that it needs beside it.

    The table starts from what the backbone gives (:mod:`training.starting_point`), aligned with the shop's codes where
    the backbone's tables are permuted, and its rows are tuned by softmax over the items of the training split. The
    network is frozen whole; that it left as it came is checked. Where tuning does not improve validation, the start is
    kept.

    With a share of the users, the others' interactions are not seen at all: not by tuning, alignment, early stopping or
    popularity. A new quantiser is trained on the items of the whole training split all the same: it reads texts, and a
    shop knows the texts of its catalogue before anybody has bought from it. What came after is new to it, as ever.

    With ``config.quantizer_of`` all codes that a service holds stay valid, and swapping to the new table takes no
    quantising.

    Raises:
        DataError: if the histories are too short to train on, or too few users are drawn.
        NetworkChangedError: if a weight of the network changed; nothing is written then.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: if the backbone, its text encoder or the
            adapter is not there or not sound, or the quantiser to keep does not go with the backbone.
    """
    plan = AdaptConfig.of(config)
    start = StartingPoint.open(backbone_path, store, plan)
    shop = open_shop(dataset, start.encoder, store, start.quantizer)
    shop = replace(shop, split=share_of_users(shop.split, plan.share, plan.fit.seed))
    before = weights_sha256(start.network)
    run = _Run(start, shop, store, plan)
    tables = run.starting_tables()
    model = NextItemModel(start.network, tables, [shop], start.sizes.temperature)
    task = one_shop_task(f"adapting {domain}", model, start.sizes.max_history)
    result = fit(task, plan.fit, run.checkpoints("adapt"))
    if weights_sha256(start.network) != before:
        raise NetworkChangedError("adapting changed the network: this is a fault of vqrec, nothing was written")
    say(f"adapting {domain}: {result}")
    adapter = export_adapter(store, domain, model, start.backbone, plan)
    for stage in ("align", "adapt"):
        run.checkpoints(stage).clear()
    return adapter


def weights_sha256(network: nn.Module) -> str:
    """Tells whether any weight or buffer of a network is another than before: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Run:
    start: StartingPoint
    shop: Shop
    store: ArtifactStore
    plan: AdaptConfig

    def checkpoints(self, stage: str) -> CheckpointFolder:
        """Of alignment and of tuning apart: an interrupted run that was aligned is not aligned anew."""
        identity = (self.shop.dataset.fingerprint, self.start.backbone.sha256, self.shop.quantizer.sha256, self.plan)
        return CheckpointFolder.of_run(self.store.cache, stage, *identity)

    def starting_tables(self) -> CodeEmbedding:
        """The table that tuning starts from: its rows are free to learn, all else is frozen."""
        backbone, quantizer = self.start.backbone, self.shop.quantizer
        if backbone.manifest.tables == "projected":
            projection = read_projection(backbone)
            projection.base_table(quantizer)  # raises if the two do not fit
            tied = TiedCodeEmbedding([quantizer], self.start.sizes.width)
            tied.freeze_projection(projection)
            return tied
        if backbone.manifest.tables == "permuted" and self.plan.alignment is not None:
            config = replace(self.plan.alignment, seed=self.plan.fit.seed)
            aligned = align(self.start, read_base_table(backbone), self.shop, config, self.checkpoints("align"))
            say(f"aligned with the base table: validation NDCG@10 {aligned.score:.4f} before tuning")
            return CodeEmbedding.of_table(aligned.table)
        return CodeEmbedding.of_table(self.start.base_table(quantizer))
