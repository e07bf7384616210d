"""``vqrec adapt --zero-shot``: an adapter for a shop of which nothing but its catalogue is known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.codes import CodeLayout
from models.manifest import AdapterManifest
from models.quantizer import Quantizer
from models.store import ArtifactStore
from training.adapter_export import AdapterContents, write_contents
from training.backbone_export import made_with
from training.config import TrainingConfig
from training.dataset import Dataset, Items
from training.errors import DataError
from training.histories import Histories
from training.progress import say
from training.quantize import report_codes, train_quantizer
from training.shop import NewQuantizer
from training.starting_point import StartingPoint
from training.text_vectors import encode_texts


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
    vectors = encode_texts(items.texts, start.encoder, store.cache)
    quantizer = _trained(start.quantizer, vectors)
    say(f"item codes: {report_codes(quantizer.encode(vectors), quantizer.layout)}")
    fingerprint = Dataset(items, _no_histories()).fingerprint
    how = {**made_with(config), "data": fingerprint, "zero_shot": True}
    return write_contents(store, AdapterContents(domain, quantizer, start.base_table(quantizer), how), start.backbone)


def _trained(quantizer: Quantizer | NewQuantizer, vectors: npt.NDArray[np.float16]) -> Quantizer:
    if isinstance(quantizer, Quantizer):
        return quantizer
    if len(vectors) < 2:
        raise DataError("a quantiser needs at least two items to learn from")
    return train_quantizer(
        vectors, CodeLayout.fitting(len(vectors), quantizer.layout), quantizer.seed, quantizer.fingerprints
    )


def _no_histories() -> Histories:
    return Histories((), np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
