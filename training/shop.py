"""A shop made ready for training: its texts encoded, its quantiser trained, its items coded, its histories split."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.dataset import Dataset
from training.errors import DataError
from training.histories import Split, split_leave_one_out
from training.progress import say
from training.quantize import report_codes, train_quantizer
from training.text_vectors import encode_texts


@dataclass(frozen=True, eq=False)
class Shop:
    """One domain in training.

    Args:
        dataset: items and histories.
        split: leave-one-out.
        quantizer: trained on the items of the training split alone, unless it was there before.
        codes: of every item [items, D].
    """

    dataset: Dataset
    split: Split
    quantizer: Quantizer
    codes: Codes

    @cached_property
    def trained_items(self) -> npt.NDArray[np.int64]:
        """Items that occur in training, int64 [m]; the others are no negatives, since nobody could buy them yet."""
        return np.unique(self.split.train.items).astype(np.int64)

    @property
    def popularity(self) -> dict[str, int]:
        """Item id ─► interactions in training, for the items that have any."""
        counts = self.training_counts
        return {self.dataset.item_ids[item]: int(counts[item]) for item in self.trained_items}

    @property
    def training_counts(self) -> npt.NDArray[np.int64]:
        """Interactions of each item in training: int64 [items]."""
        return self.split.train.item_counts(len(self.dataset.item_ids))


@dataclass(frozen=True, slots=True)
class NewQuantizer:
    """A quantiser to be trained.

    Args:
        layout: what is wished for; a catalogue too small for it gets fewer centroids, and that is said.
        seed: of its training.
    """

    layout: CodeLayout
    seed: int


def open_shop(
    dataset: Dataset,
    encoder: TextEncoder,
    store: ArtifactStore,
    quantizer: Quantizer | NewQuantizer,
) -> Shop:
    """Encode the texts, train the quantiser, code the items and report what the codes tell apart.

    Args:
        quantizer: one that is there already, whose codes stay valid, or how a new one is trained.

    Raises:
        DataError: if no user has a history to train on and to validate with.
    """
    split = split_leave_one_out(dataset.histories)
    if len(split.valid) == 0 or not (split.train.lengths > 1).any():
        raise DataError("no user has the four interactions that training and validation need")
    vectors = encode_texts(dataset.texts, encoder, store.cache)
    if isinstance(quantizer, NewQuantizer):
        quantizer = _train(vectors[np.unique(split.train.items)], quantizer)
    codes = quantizer.encode(vectors)
    say(f"item codes: {report_codes(codes, quantizer.layout)}")
    return Shop(dataset, split, quantizer, codes)


def _train(vectors: npt.NDArray[np.float16], wanted: NewQuantizer) -> Quantizer:
    fitting = CodeLayout.fitting(len(vectors), wanted.layout)
    if fitting != wanted.layout:
        say(
            f"{len(vectors)} items cannot fill {wanted.layout.codebook_size} centroids a codebook: "
            f"using {fitting.num_codebooks} x {fitting.codebook_size}"
        )
    return train_quantizer(vectors, fitting, wanted.seed)
