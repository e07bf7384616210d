"""A shop made ready for training: its texts encoded, its quantiser trained, its items coded, its histories split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.manifest import TableKind
from models.quantizer import Quantizer
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from training.dataset import Dataset
from training.errors import DataError
from training.histories import Split, split_leave_one_out
from training.progress import say
from training.quantize import report_codes, train_quantizer
from training.text_vectors import encode_texts

# Twice what FAISS asks for to train 256 centroids; with more the rotation takes minutes.
_SHARED_SAMPLE = 20_000


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
        fingerprints: how many of the layout's indices are fingerprints.
    """

    layout: CodeLayout
    seed: int
    fingerprints: int = 0


@dataclass(frozen=True, eq=False)
class UncodedShop:
    """A shop before its items have codes.

    Args:
        dataset: items and histories.
        split: leave-one-out.
        text_vectors: float16 [items, text_dim].
    """

    dataset: Dataset
    split: Split
    text_vectors: npt.NDArray[np.float16]

    @property
    def trained_vectors(self) -> npt.NDArray[np.float16]:
        """The text vectors of the items that occur in training, which a quantiser may learn from."""
        return self.text_vectors[np.unique(self.split.train.items)]

    def coded(self, quantizer: Quantizer) -> Shop:
        """The shop with every item coded."""
        codes = quantizer.encode(self.text_vectors)
        say(f"item codes: {report_codes(codes, quantizer.layout)}")
        return Shop(self.dataset, self.split, quantizer, codes)


def open_shop(
    dataset: Dataset,
    encoder: TextEncoder,
    store: ArtifactStore,
    quantizer: Quantizer | NewQuantizer,
) -> Shop:
    """Encode the texts, train the quantiser, code the items and report what the codes tell apart.

    Args:
        dataset: items and histories.
        encoder: of the texts.
        store: keeps text vectors for another run.
        quantizer: one that is there already, whose codes stay valid, or how a new one is trained.

    Raises:
        DataError: if no user has a history to train on and to validate with.
    """
    shop = read_shop(dataset, encoder, store)
    if isinstance(quantizer, NewQuantizer):
        quantizer = train_quantizers([shop], quantizer, "projected")[0]
    return shop.coded(quantizer)


def read_shop(dataset: Dataset, encoder: TextEncoder, store: ArtifactStore) -> UncodedShop:
    """Split the histories and encode the texts; arguments and errors as for :func:`open_shop`."""
    split = split_leave_one_out(dataset.histories)
    if len(split.valid) == 0 or not (split.train.lengths > 1).any():
        raise DataError(
            "no user has the four interactions that training and validation need: gather more, or use --zero-shot"
        )
    return UncodedShop(dataset, split, encode_texts(dataset.texts, encoder, store.cache))


def train_quantizers(shops: Sequence[UncodedShop], wanted: NewQuantizer, tables: TableKind) -> list[Quantizer]:
    """A quantiser for each shop, as this kind of table asks for.

    Projected: each its own. Permuted: each its own, all of the layout that the smallest shop can fill, since they
    address one table; without fingerprints, as it was published. Shared: the same one for all, from a sample in which
    no shop has more items than it must.

    Raises:
        DataError: if the training histories of a shop hold a single item.
    """
    vectors = [shop.trained_vectors for shop in shops]
    if tables == "shared":
        return [_train(_balanced_sample(vectors, wanted.seed), wanted)] * len(shops)
    if tables == "permuted":
        smallest = min(len(of_shop) for of_shop in vectors)
        layout = fitting_layout(smallest, wanted.layout)
        wanted = replace(wanted, layout=layout, fingerprints=0)
    return [_train(of_shop, wanted) for of_shop in vectors]


def _train(vectors: npt.NDArray[np.float16], wanted: NewQuantizer) -> Quantizer:
    if len(vectors) < 2:
        raise DataError("all training histories together hold one item: a quantiser needs two to tell apart")
    return train_quantizer(vectors, fitting_layout(len(vectors), wanted.layout), wanted.seed, wanted.fingerprints)


def fitting_layout(num_items: int, wanted: CodeLayout) -> CodeLayout:
    """The layout that so many items can fill; where it is not the one wished for, that is said."""
    fitting = CodeLayout.fitting(num_items, wanted)
    if fitting != wanted:
        say(
            f"{num_items} items cannot fill {wanted.codebook_size} centroids a codebook: "
            f"using {fitting.num_codebooks} x {fitting.codebook_size}"
        )
    return fitting


def _balanced_sample(vectors: Sequence[npt.NDArray[np.float16]], seed: int) -> npt.NDArray[np.float16]:
    """At most ``_SHARED_SAMPLE`` text vectors drawn by the seed, equally many of each shop as far as it has them."""
    rng = np.random.default_rng(seed)
    sample, left = [], _SHARED_SAMPLE
    by_size = sorted(vectors, key=len)
    for number, of_shop in enumerate(by_size):
        share = min(len(of_shop), left // (len(by_size) - number))
        sample.append(of_shop[np.sort(rng.permutation(len(of_shop))[:share])])
        left -= share
    return np.concatenate(sample)
