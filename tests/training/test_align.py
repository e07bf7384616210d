"""Alignment: which row of a table each centroid of a shop is, learned from the shop's histories."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.adapter import DomainAdapter
from models.networks.permutation import permuted
from models.table import CodeTable
from tests.training.small_shop import CONFIG, SmallShops, Trained
from training.adapt import weights_sha256
from training.adapt_config import ALIGNMENT
from training.align import align
from training.checkpoint import CheckpointFolder
from training.loop import FitConfig
from training.shop import Shop, open_shop
from training.starting_point import StartingPoint

pytestmark = pytest.mark.training


@dataclass(frozen=True, eq=False)
class Shuffled:
    """A trained shop whose table lies in another order.

    Args:
        order: int64 [D, K]; where each row of the trained table is in ``base``.
        base: the shuffled table.
    """

    start: StartingPoint
    shop: Shop
    table: CodeTable
    order: npt.NDArray[np.int64]
    base: CodeTable

    def recovered(self, permutations: npt.NDArray[np.int64]) -> float:
        """The share of the indices in use whose row is the one that they were trained with."""
        books = self.table.layout.num_codebooks
        codes = self.shop.codes[self.shop.trained_items]
        right = [
            permutations[book, c] == self.order[book, c] for book in range(books) for c in np.unique(codes[:, book])
        ]
        return float(np.mean(right))


@pytest.fixture
def shuffled(shops: SmallShops, trained: Trained) -> Shuffled:
    start = StartingPoint.open(trained.result.backbone.path, trained.store, CONFIG)
    adapter = DomainAdapter.load(trained.result.adapter.path)
    shop = open_shop(shops.dataset(), start.encoder, trained.store, adapter.quantizer)
    rng, layout = np.random.default_rng(7), adapter.table.layout
    order = np.stack([rng.permutation(layout.codebook_size) for _ in range(layout.num_codebooks)])
    rows = adapter.table.rows.reshape(layout.num_codebooks, layout.codebook_size, -1)
    return Shuffled(start, shop, adapter.table, order, permuted(rows, np.argsort(order, axis=1)))


def test_a_known_shuffle_is_recovered(shuffled: Shuffled, tmp_path: Path) -> None:
    unaligned = np.tile(np.arange(shuffled.base.layout.codebook_size), (shuffled.base.layout.num_codebooks, 1))
    assert shuffled.recovered(unaligned) < 0.1
    before = weights_sha256(shuffled.start.network)
    aligned = align(shuffled.start, shuffled.base, shuffled.shop, ALIGNMENT, CheckpointFolder(tmp_path))
    assert shuffled.recovered(aligned.permutations) >= 0.95
    rows = shuffled.base.rows.reshape(*unaligned.shape, -1)
    np.testing.assert_array_equal(aligned.table.rows, permuted(rows, aligned.permutations).rows)
    assert weights_sha256(shuffled.start.network) == before


def test_without_learning_nothing_is_recovered(shuffled: Shuffled, tmp_path: Path) -> None:
    """What recovers is the gradient, and not how the permutations start."""
    still = FitConfig(max_epochs=1, patience=1, learning_rate=1e-12)
    aligned = align(shuffled.start, shuffled.base, shuffled.shop, still, CheckpointFolder(tmp_path))
    assert shuffled.recovered(aligned.permutations) < 0.2
