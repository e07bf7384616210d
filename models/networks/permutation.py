"""A permutation for each codebook, learned: it aligns the codes of a new shop with the rows of a table that is there.

VQ-Rec (arXiv 2210.12316, section 3.4) relaxes permutation matrices to doubly stochastic ones, which have a gradient.
Here a free matrix becomes doubly stochastic by Sinkhorn's algorithm in the log domain (Mena, Belanger, Linderman,
Snoek, "Learning latent permutations with Gumbel-Sinkhorn networks", ICLR 2018), without their noise, and a true
permutation only when it is folded: the assignment of the largest likelihood.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.codes import CodeLayout
from models.networks.assignment import best_assignment
from models.networks.code_embedding import CodeEmbedding
from models.table import CodeTable

_ROUNDS = 10


class PermutedCodeEmbedding(CodeEmbedding):
    """A table whose rows are those of a base table, reordered within each codebook; only the order is learned.

    All permutations are equally likely at first, so that every row is the mean of its codebook: what tells the rows
    apart is the gradient alone. A shop with fewer centroids than the base table has rows leaves some rows unused.

    Args:
        base: the table, which stays as it is.
        layout: of the shop's codes: as many codebooks, and at most as many centroids as ``base`` has rows in each.

    Raises:
        ValueError: if the layout is another.
    """

    base: torch.Tensor

    def __init__(self, base: CodeTable, layout: CodeLayout) -> None:
        books, base_size = base.layout.num_codebooks, base.layout.codebook_size
        if layout.num_codebooks != books or layout.codebook_size > base_size:
            raise ValueError(
                f"codes of {layout.num_codebooks} x {layout.codebook_size} cannot be aligned with a table of "
                f"{books} x {base_size}"
            )
        super().__init__([layout], base.width)
        self.free.requires_grad_(False)  # no row is free here
        rows = torch.from_numpy(base.rows).view(books, base_size, base.width)
        self.register_buffer("base", rows, persistent=False)  # [D, K of base, width]
        self.logits = nn.Parameter(torch.zeros(books, layout.codebook_size, base_size))

    def log_probabilities(self) -> torch.Tensor:
        """The log of how likely each base row is to be each row: [D, K, K of base]; see :func:`sinkhorn`."""
        return sinkhorn(self.logits, _ROUNDS)

    def table(self) -> torch.Tensor:
        """All rows, each the mean of base rows by their probability: [D * K, width]."""
        return torch.bmm(self.log_probabilities().exp(), self.base).flatten(0, 1)

    def permutations(self) -> npt.NDArray[np.int64]:
        """The base row that each row is most likely to be, no base row twice: int64 [D, K]."""
        with torch.no_grad():
            scores = self.log_probabilities().float().cpu().numpy()
        return np.stack([best_assignment(book) for book in scores])

    def fold(self, domain: int) -> CodeTable:
        """The permuted table; there is one domain, 0.

        Raises:
            IndexError: for any other.
        """
        if domain != 0:
            raise IndexError(f"an alignment of one domain has no domain {domain}")
        return permuted(self.base.cpu().numpy(), self.permutations())


def permuted(base: npt.NDArray[np.float32], permutations: npt.NDArray[np.int64]) -> CodeTable:
    """The rows of ``base`` [D, K of base, width] in another order: row (d, c) is base row (d, permutations[d, c])."""
    books, size = permutations.shape
    rows = np.take_along_axis(base, permutations[:, :, None], axis=1)  # [D, K, width]
    return CodeTable(CodeLayout(books, size), np.ascontiguousarray(rows.reshape(books * size, -1)))


def sinkhorn(logits: torch.Tensor, rounds: int) -> torch.Tensor:
    """The log of the doubly stochastic matrices that normalising rows and columns by turns comes to: [D, n, m].

    Every row sums to one. A column sums to one but for what the rounds have not evened out yet; where there are more
    columns than rows, they share one more row, which takes what is left over, and a column sums to one at most.

    Args:
        logits: [D, n, m], n at most m.
        rounds: how many times both are normalised, before the rows are once more.
    """
    books, rows, columns = logits.shape
    masses = torch.zeros(rows, 1, device=logits.device)  # logs
    if rows < columns:
        left_over = math.log(columns - rows)
        logits = torch.cat([logits, torch.zeros(books, 1, columns, device=logits.device)], dim=1)
        masses = torch.cat([masses, torch.full((1, 1), left_over, device=logits.device)])
    for _ in range(rounds):
        logits = logits - logits.logsumexp(dim=2, keepdim=True) + masses
        logits = logits - logits.logsumexp(dim=1, keepdim=True)
    return logits[:, :rows].log_softmax(dim=2)
