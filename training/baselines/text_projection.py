"""The user network over projected text vectors, without codes: an item's vector is a linear function of its text.

Source of the idea: UniSRec (Hou et al., KDD 2022, arXiv 2206.05941), whose adaptor whitens text vectors and projects
them. Here one projection is trained for the one shop, without UniSRec's mixture of experts.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from training.baselines.item_network import Baseline, BaselineConfig, ItemNetwork, NetworkScorer
from training.checkpoint import CheckpointFolder
from training.histories import Split

_INITIAL_STD = 0.05
_SMALLEST_VARIANCE = 1e-3  # as a share of the largest, below which whitening would blow up noise

Preparation = Literal["raw", "standardised", "whitened"]


class TextProjection(nn.Module):
    """One linear map from text vectors to item vectors.

    Args:
        text_vectors: float32 [items, text_dim]; items with equal ones get equal item vectors, to the last bit.
        width: of an item vector.
    """

    distinct: torch.Tensor
    place: torch.Tensor

    def __init__(self, text_vectors: npt.NDArray[np.float32], width: int) -> None:
        super().__init__()
        distinct, place = np.unique(text_vectors, axis=0, return_inverse=True)
        self.register_buffer("distinct", torch.from_numpy(distinct), persistent=False)  # [distinct, text_dim]
        self.register_buffer("place", torch.from_numpy(place.reshape(-1)), persistent=False)  # [items]
        self.projection = nn.Linear(distinct.shape[1], width)
        nn.init.normal_(self.projection.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.projection.bias)

    def forward(self) -> torch.Tensor:
        """Item vectors [items, width]."""
        vectors: torch.Tensor = self.projection(self.distinct)
        return vectors[self.place]


def train_text_projection(
    split: Split,
    text_vectors: npt.NDArray[np.float16],
    config: BaselineConfig,
    at: CheckpointFolder,
    preparation: Preparation = "raw",
) -> NetworkScorer:
    """Train on the training histories of ``split`` over the catalogue with these text vectors [items, text_dim].

    Items without training interactions are ranked by their texts like all others. The checkpoint stays in ``at``.
    """
    torch.manual_seed(config.fit.seed)
    trained = split.train.item_counts(len(text_vectors)) > 0
    items = TextProjection(prepared(text_vectors, trained, preparation), config.network.width)
    everything = np.ones(len(text_vectors), dtype=np.bool_)
    baseline = Baseline("projected texts", ItemNetwork(items, trained, config), rankable=everything)
    return baseline.train(split, config.fit, at)


def prepared(
    text_vectors: npt.NDArray[np.float16], trained: npt.NDArray[np.bool_], preparation: Preparation
) -> npt.NDArray[np.float32]:
    """Text vectors float32 [items, text_dim] ready to be projected, of length about one whatever the preparation.

    Args:
        text_vectors: of the whole catalogue [items, text_dim].
        trained: bool [items], those whose mean and (co)variance are used: nothing is learned from items not yet sold.
        preparation: as they are; or each dimension with mean 0 and equal variance; or also without correlation.
    """
    vectors = text_vectors.astype(np.float32)
    if preparation == "raw":
        return vectors
    seen = vectors[trained].astype(np.float64)
    centred = vectors - seen.mean(axis=0)
    if preparation == "standardised":
        variances, axes = seen.var(axis=0), np.eye(seen.shape[1])
    else:
        variances, axes = np.linalg.eigh(np.cov(seen, rowvar=False))
    deviations = np.sqrt(np.maximum(variances, _SMALLEST_VARIANCE * variances.max()))
    return np.asarray(centred @ axes / deviations / np.sqrt(len(deviations)), dtype=np.float32)
