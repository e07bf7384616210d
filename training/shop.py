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
        quantizer: trained on the items of the training split alone.
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


def open_shop(dataset: Dataset, encoder: TextEncoder, store: ArtifactStore, layout: CodeLayout, seed: int) -> Shop:
    """Encode the texts, train the quantiser, code the items and report what the codes tell apart.

    Args:
        layout: what is wished for; a catalogue too small for it gets fewer centroids, and that is said.

    Raises:
        DataError: if no user has a history to train on and to validate with.
    """
    split = split_leave_one_out(dataset.histories)
    if len(split.valid) == 0 or not (split.train.lengths > 1).any():
        raise DataError("no user has the four interactions that training and validation need")
    vectors = encode_texts(dataset.texts, encoder, store.cache)
    trained = np.unique(split.train.items)
    fitting = CodeLayout.fitting(len(trained), layout)
    if fitting != layout:
        say(
            f"{len(trained)} items cannot fill {layout.codebook_size} centroids a codebook: "
            f"using {fitting.num_codebooks} x {fitting.codebook_size}"
        )
    quantizer = train_quantizer(vectors[trained], fitting, seed)
    codes = quantizer.encode(vectors)
    say(f"item codes: {report_codes(codes, fitting)}")
    return Shop(dataset, split, quantizer, codes)
