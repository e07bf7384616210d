"""SASRec: the user network over a free vector an item, with no text at all.

Source: Kang, McAuley, "Self-Attentive Sequential Recommendation", arXiv 1808.09781; with the softmax over all items
instead of one sampled negative, which is what makes it strong (Klenitskiy, Vasilev, arXiv 2309.07602), and with the
post-norm Transformer of VQ-Rec, so that it differs from the item codes in the items alone.
"""

import torch
from torch import nn

from training.baselines.item_network import Baseline, BaselineConfig, ItemNetwork, NetworkScorer
from training.checkpoint import CheckpointFolder
from training.histories import Split

_INITIAL_STD = 0.02


class IdEncoder(nn.Module):
    """A free vector for each item."""

    def __init__(self, num_items: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(num_items, width)
        nn.init.normal_(self.vectors.weight, std=_INITIAL_STD)

    def forward(self) -> torch.Tensor:
        """Item vectors [items, width]."""
        return self.vectors.weight


def train_sasrec(split: Split, num_items: int, config: BaselineConfig, at: CheckpointFolder) -> NetworkScorer:
    """Train on the training histories of ``split``; the checkpoint stays in ``at``.

    An item without training interactions keeps the vector it was drawn with. That says nothing, so these items score
    below all others: SASRec cannot recommend what was never bought.
    """
    torch.manual_seed(config.fit.seed)
    trained = split.train.item_counts(num_items) > 0
    model = ItemNetwork(IdEncoder(num_items, config.network.width), trained, config)
    return Baseline("SASRec", model, rankable=trained).train(split, config.fit, at)
