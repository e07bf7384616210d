"""Where training starts: from a network that, untrained, recommends what is like a history in text and not in it.

Random weights would have to find that out first, and from few histories they never do. Three things are set:

- The projection whitens text a little, so that what all items have in common does not drown what tells them apart.
- Attention hands on what it attends to, so that every layer adds the mean of the history to its last item; that values
  and outputs start near the identity is the mimetic initialisation of Trockman, Kolter, ICML 2023 (arXiv 2305.09828).
- Marks have columns of their own, whose sign the last map turns: what the history has is pushed away. Two marks share
  a column or have nothing in common, so that most items are not touched by what others have. Marks of random direction
  would each touch all of them a little, and with no more columns than there are, that disturbs every order.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.networks.code_embedding import TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer

_MARKED_COLUMNS = 0.25  # of the width
_MARK_LENGTH = 0.5  # of a mark beside an item's text
_WHITENING = 0.25  # the power by which variances are evened out; 0.5 would make them equal
_SCALE = 0.05  # of a component of an item's vector; free rows learn in steps of a fiftieth of it
_ALIKE = 1e-5  # of the energy of a text vector: where nothing varies more, all texts are one
_ATTENTION = 0.7
_POSITIONS_STD = 0.005


def start_from_text(
    network: UserTransformer, tables: TiedCodeEmbedding, quantizers: Sequence[Quantizer], seed: int
) -> None:
    """Set the weights of a fresh network and its tables. Without an output map, marks stay zero.

    Args:
        network: whose attention and output map are set.
        tables: whose projection and marks are set.
        quantizers: whose centroids say how texts vary.
        seed: of the directions that text is laid along, and of the positions.
    """
    generator = torch.Generator().manual_seed(seed)
    turns = isinstance(network.output_map, nn.Linear) and len(tables.marks) > 0
    width = tables.projection.out_features
    marked = round(_MARKED_COLUMNS * width) if turns else 0
    with torch.no_grad():
        _whiten(tables.projection, quantizers, width - marked, generator)
        if isinstance(network.output_map, nn.Linear):
            signs = torch.ones(width)
            signs[width - marked :] = -1
            network.output_map.weight.copy_(torch.diag(signs))
        if marked:
            fingerprints, size, _ = tables.marks.shape
            length = _MARK_LENGTH * _SCALE * (width / fingerprints) ** 0.5
            tables.marks[:, :, width - marked :] = length * _one_column_each(fingerprints, size, marked)
        network.hand_on(_ATTENTION)
        network.positions.weight.copy_(
            _POSITIONS_STD * torch.randn(network.positions.weight.shape, generator=generator)
        )


def _one_column_each(fingerprints: int, size: int, columns: int) -> torch.Tensor:
    """Zeros but for a one in every row [fingerprints, size, columns]; each fingerprint has its part of the columns."""
    part = max(1, columns // fingerprints)
    places = torch.arange(fingerprints)[:, None] * part + torch.arange(size) % part  # [fingerprints, size]
    return torch.eye(columns)[places % columns]


def _whiten(projection: nn.Linear, quantizers: Sequence[Quantizer], columns: int, generator: torch.Generator) -> None:
    """Lay the principal components of text, as many as there are columns, along random axes of the first columns."""
    means, covariances = zip(*(_moments(quantizer) for quantizer in quantizers), strict=True)
    mean, covariance = np.mean(means, axis=0), np.mean(covariances, axis=0)
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1][:columns], directions[:, ::-1][:, :columns]
    projection.weight.zero_()
    projection.bias.zero_()
    if variances[0] <= _ALIKE * (mean @ mean + variances.sum()):
        return  # all texts are one, and what varies is how FAISS parts centroids that nothing tells apart
    # Directions that no text of these shops takes are not blown up.
    gains = np.maximum(variances, 1e-4 * variances[0]) ** -_WHITENING  # [components]
    gains *= _SCALE * (projection.out_features / (gains**2 * variances).sum()) ** 0.5
    axes, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64))
    weight = axes[:, : len(gains)] @ torch.from_numpy((directions * gains).T.copy())  # [columns, text_dim]
    projection.weight[:columns] = weight.float()
    projection.bias[:columns] = -(weight @ torch.from_numpy(mean)).float()


def _moments(quantizer: Quantizer) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean [text_dim] and covariance [text_dim, text_dim] of texts whose indices are independent, each as likely."""
    size, indices = quantizer.layout.codebook_size, quantizer.layout.num_codebooks
    parts = quantizer.centroids_in_text_space().astype(np.float64) / indices
    books = parts.reshape(indices, size, -1)  # [D, K, text_dim]
    means = books.mean(axis=1)  # [D, text_dim]
    around = (books - means[:, None]).reshape(indices * size, -1)
    return means.sum(axis=0), around.T @ around / size
