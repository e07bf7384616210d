"""Which row of a pre-trained table each centroid of a new shop is: learned from the shop's histories alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.manifest import TransformerArchitecture
from models.networks.permutation import PermutedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.table import CodeTable
from training.checkpoint import CheckpointFolder
from training.loop import FitConfig, fit
from training.next_item_model import NextItemModel
from training.one_shop import one_shop_task
from training.shop import Shop
from training.starting_point import StartingPoint


@dataclass(frozen=True, eq=False)
class Alignment:
    """A table aligned with a shop's codes.

    Args:
        permutations: int64 [D, K], the base row that each row was.
        table: row (d, c) is row (d, permutations[d, c]) of the base table.
        score: validation NDCG@10 of the table.
    """

    permutations: npt.NDArray[np.int64]
    table: CodeTable
    score: float


def align(
    start: StartingPoint, base: CodeTable, shop: Shop, config: FitConfig, checkpoints: CheckpointFolder
) -> Alignment:
    """Learn a permutation of each codebook's rows, network and rows as they are, by softmax over the trained items.

    VQ-Rec, arXiv 2210.12316, section 3.4. What is learned is a relaxed permutation; what is validated after every
    epoch, and what is kept of the best one, is the permutation that it stands for. Rows in the order of the base table
    are validated first, and stay so if nothing learned is better.

    Args:
        start: whose network the table was trained with.
        base: the table; at least as many rows in each codebook as the shop's quantiser has centroids.
        shop: whose training histories are learned from.
        config: how long and how fast.
        checkpoints: of this run, to resume it; the caller clears them.

    Raises:
        ValueError: if the base table does not fit the shop's codes.
    """
    tables = PermutedCodeEmbedding(base, shop.quantizer.layout)
    model = NextItemModel(_without_dropout(start), tables, [shop], start.sizes.temperature)
    result = fit(one_shop_task("aligning codes", model, start.sizes.max_history), config, checkpoints)
    return Alignment(tables.permutations(), tables.fold(0), result.best_score)


def _without_dropout(start: StartingPoint) -> UserTransformer:
    # Nothing is there to overfit with, and noise in every gradient is what a choice among many rows can do without.
    sizes = start.sizes
    calm = TransformerArchitecture.model_validate({**sizes.architecture.model_dump(), "dropout": 0.0})
    network = UserTransformer(calm, sizes.width, sizes.max_history)
    network.load_state_dict(start.network.state_dict())
    network.requires_grad_(False)
    return network
