"""``--zero-shot`` of ``vqrec adapt`` and ``vqrec train``: a shop of which nothing but its catalogue is known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.cpu import available_cpus
from models.manifest import AdapterManifest
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.adapter_export import AdapterContents, write_contents
from training.backbone_export import made_with, write_backbone
from training.config import TrainingConfig
from training.dataset import Dataset, Items
from training.errors import DataError
from training.histories import Histories
from training.next_item_model import new_network
from training.progress import say
from training.quantize import report_codes, train_quantizer
from training.shop import NewQuantizer, fitting_layout
from training.starting_point import StartingPoint
from training.text_encoder_export import provide_text_encoder
from training.text_vectors import encode_texts
from training.train import TrainedShop


def adapt_zero_shot(
    items: Items, domain: str, backbone_path: Path, store: ArtifactStore, config: TrainingConfig
) -> Bundle[AdapterManifest]:
    """Write an adapter whose table is the backbone's base table, with no interaction read and nothing tuned.

    A new quantiser is trained on the texts of all items, there being none that would be held out. Popularity and
    metrics are empty. With permuted tables the rows stay in their order: without histories nothing can align them, and
    such an adapter recommends at random; that is said.

    Raises:
        DataError: if there are fewer than two items to train a quantiser on.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :meth:`StartingPoint.open`.
    """
    start = StartingPoint.open(backbone_path, store, config)
    if start.backbone.manifest.tables == "permuted":
        say("the backbone's tables are permuted, and only histories can align them: these codes will mean nothing")
    quantizer = _trained(start.quantizer, encode_texts(items.texts, start.encoder, store.cache))
    contents = AdapterContents(domain, quantizer, start.base_table(quantizer), _how(items, config))
    return write_contents(store, contents, start.backbone)


def train_zero_shot(items: Items, domain: str, store: ArtifactStore, config: TrainingConfig) -> TrainedShop:
    """Write a backbone and an adapter as training would start from them: text alone decides, and nobody has bought yet.

    Whitening is that of the shop's own texts. Once there are histories, ``adapt`` tunes a table under this backbone.

    Raises:
        DataError: if there are fewer than two items to train a quantiser on.
    """
    encoder = TextEncoder.load(provide_text_encoder(config.text_encoder, store), available_cpus())
    quantizer = _trained(config.new_quantizer, encode_texts(items.texts, encoder, store.cache))
    network, tables = new_network([quantizer], config)
    network.eval()
    projection = tables.export_projection()
    backbone = write_backbone(store.backbones, network, projection, encoder.bundle, config)
    contents = AdapterContents(domain, quantizer, projection.base_table(quantizer), _how(items, config))
    return TrainedShop(backbone, write_contents(store, contents, backbone))


def _trained(wanted: Quantizer | NewQuantizer, vectors: npt.NDArray[np.float16]) -> Quantizer:
    """The quantiser that is there, or a new one; how well its codes tell these texts apart is said."""
    if isinstance(wanted, Quantizer):
        quantizer = wanted
    elif len(vectors) < 2:
        raise DataError("a quantiser needs at least two items to learn from")
    else:
        layout = fitting_layout(len(vectors), wanted.layout)
        quantizer = train_quantizer(vectors, layout, wanted.seed, wanted.fingerprints)
    say(f"item codes: {report_codes(quantizer.encode(vectors), quantizer.layout)}")
    return quantizer


def _how(items: Items, config: TrainingConfig) -> dict[str, object]:
    """What the adapter's manifest says of how it came about."""
    return {**made_with(config), "data": Dataset(items, _no_histories()).fingerprint, "zero_shot": True}


def _no_histories() -> Histories:
    return Histories((), np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
