"""The code-embedding tables in training: a free row plus a projection of the row's own centroid.

Row (d, c) = free(d, c) + projection(centroid(d, c) rotated back into text space). A row that no training item used
starts where its text is, and one projection makes a table for any quantiser over the same text encoder. The sum is
folded into one table on export, so that serving stays codes and table.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from models.backbone import Projection
from models.codes import Codes
from models.quantizer import Quantizer
from models.table import CodeTable

_PROJECTION_STD = 0.05


class TiedCodeEmbedding(nn.Module):
    """The tables of one or several domains, one after another, and the projection that they share.

    Args:
        quantizers: one a domain, over the same text encoder and with equally many codebooks.
        width: of an item vector.
    """

    centroids: torch.Tensor

    def __init__(self, quantizers: Sequence[Quantizer], width: int) -> None:
        super().__init__()
        self.layouts = [quantizer.layout for quantizer in quantizers]
        if len({(layout.num_codebooks, q.text_dim) for layout, q in zip(self.layouts, quantizers, strict=True)}) != 1:
            raise ValueError("domains trained together need equally many codebooks and the same text encoder")
        self.first_rows = np.cumsum([0] + [layout.num_rows for layout in self.layouts])
        centroids = np.concatenate([quantizer.centroids_in_text_space() for quantizer in quantizers])
        self.register_buffer("centroids", torch.from_numpy(centroids), persistent=False)  # [rows, text_dim]
        self.projection = nn.Linear(centroids.shape[1], width)
        nn.init.normal_(self.projection.weight, std=_PROJECTION_STD)
        nn.init.zeros_(self.projection.bias)
        self.free = nn.Parameter(torch.zeros(len(centroids), width))

    def table(self) -> torch.Tensor:
        """All rows [rows, width]."""
        tied: torch.Tensor = self.projection(self.centroids)
        return self.free + tied

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Item vectors [n, width] of codes given as table rows int64 [n, D]."""
        return nn.functional.embedding_bag(rows, self.table(), mode="mean")

    def rows(self, domain: int, codes: Codes) -> torch.Tensor:
        """A domain's codes [n, D] as the rows int64 [n, D] that :meth:`forward` reads."""
        return torch.from_numpy(self.layouts[domain].rows(codes).astype(np.int64) + self.first_rows[domain])

    def fold(self, domain: int) -> CodeTable:
        """A domain's table as it is exported."""
        with torch.no_grad():
            rows = self.table()[self.first_rows[domain] : self.first_rows[domain + 1]]
        return CodeTable(self.layouts[domain], rows.numpy().copy())

    def export_projection(self) -> Projection:
        """The projection as it is exported."""
        weight, bias = self.projection.weight.detach(), self.projection.bias.detach()
        return Projection(weight.numpy().copy(), bias.numpy().copy())

    def freeze_projection(self, projection: Projection) -> None:
        """Take a trained projection and keep it, so that only the free rows learn."""
        with torch.no_grad():
            self.projection.weight.copy_(torch.from_numpy(projection.weight))
            self.projection.bias.copy_(torch.from_numpy(projection.bias))
        self.projection.requires_grad_(False)
