"""The code-embedding tables in training: free rows, or free rows tied to the centroids that they stand for.

Serving knows neither kind: what was trained is folded into one table on export, and stays codes and table.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.backbone import Projection
from models.codes import CodeLayout, Codes
from models.quantizer import Quantizer
from models.table import CodeTable

_FREE_STD = 0.02
_PROJECTION_STD = 0.05


class CodeEmbedding(nn.Module):
    """The tables of one or several domains, one after another, all rows free; they start at zero.

    Args:
        layouts: one a table.
        width: of an item vector.
        table_of_domain: which table each domain reads; by default each its own.

    Raises:
        ValueError: if the tables have unequally many codebooks.
    """

    book_starts: torch.Tensor
    book_sizes: torch.Tensor

    def __init__(self, layouts: Sequence[CodeLayout], width: int, table_of_domain: Sequence[int] | None = None) -> None:
        super().__init__()
        if len({layout.num_codebooks for layout in layouts}) != 1:
            raise ValueError("domains trained together need equally many codebooks")
        tables = range(len(layouts)) if table_of_domain is None else table_of_domain
        starts = np.cumsum([0] + [layout.num_rows for layout in layouts])
        self.layouts = [layouts[table] for table in tables]  # of each domain
        self.first_rows = [int(starts[table]) for table in tables]
        sizes = np.repeat(
            [layout.codebook_size for layout in layouts], [layout.num_rows for layout in layouts]
        )  # [rows]
        of_tables = [_book_starts(layout) + start for layout, start in zip(layouts, starts, strict=False)]
        self.register_buffer("book_sizes", torch.from_numpy(sizes.astype(np.int64)), persistent=False)
        self.register_buffer("book_starts", torch.from_numpy(np.concatenate(of_tables)), persistent=False)
        self.free = nn.Parameter(torch.zeros(int(starts[-1]), width))

    @classmethod
    def common(cls, layout: CodeLayout, domains: int, width: int) -> "CodeEmbedding":
        """One random table that all domains read by their own codes (VQ-Rec, arXiv 2210.12316, section 3.3)."""
        tables = cls([layout], width, [0] * domains)
        nn.init.normal_(tables.free, std=_FREE_STD)
        return tables

    @classmethod
    def of_table(cls, table: CodeTable) -> "CodeEmbedding":
        """One domain, whose rows start as they are in ``table``."""
        tables = cls([table.layout], table.width)
        with torch.no_grad():
            tables.free.copy_(torch.from_numpy(table.rows))
        return tables

    def table(self) -> torch.Tensor:
        """All rows [rows, width]."""
        return self.free

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Item vectors [n, width] of codes given as table rows int64 [n, D]."""
        return nn.functional.embedding_bag(rows, self.table(), mode="mean")

    def rows(self, domain: int, codes: Codes) -> torch.Tensor:
        """A domain's codes [n, D] as the rows int64 [n, D] that :meth:`forward` reads."""
        return torch.from_numpy(self.layouts[domain].rows(codes).astype(np.int64) + self.first_rows[domain])

    def fold(self, domain: int) -> CodeTable:
        """A domain's table as it is exported."""
        layout, first = self.layouts[domain], self.first_rows[domain]
        with torch.no_grad():
            rows = self.table()[first : first + layout.num_rows].detach()
        return CodeTable(layout, rows.cpu().numpy().copy())


class TiedCodeEmbedding(CodeEmbedding):
    """A free row plus a projection of the row's own centroid, one projection for all tables.

    Row (d, c) = free(d, c) + projection(centroid(d, c) rotated back into text space). A row that no training item used
    starts where its text is, and one projection makes a table for any quantiser over the same text encoder. Rows of
    fingerprints have no centroid: they are marks instead, which all tables share, times D, so that an item's vector
    holds its marks whole. There may be more marks than these tables use: a shop with more centroids will.

    Args:
        quantizers: one a domain, over the same text encoder, with equally many codebooks and fingerprints. Domains with
            the same quantiser read the same table.
        width: of an item vector.
        mark_count: of each fingerprint; at least as many as a codebook here has centroids, the default.

    Raises:
        ValueError: if the quantisers do not go together.
    """

    centroids: torch.Tensor
    mark_of_row: torch.Tensor

    def __init__(self, quantizers: Sequence[Quantizer], width: int, mark_count: int = 0) -> None:
        distinct = list({quantizer.sha256: quantizer for quantizer in quantizers}.values())
        if len({(q.layout.num_codebooks, q.num_fingerprints, q.text_dim) for q in distinct}) != 1:
            raise ValueError("domains trained together need equally many codebooks and the same text encoder")
        place = {quantizer.sha256: number for number, quantizer in enumerate(distinct)}
        tables = [place[quantizer.sha256] for quantizer in quantizers]
        super().__init__([quantizer.layout for quantizer in distinct], width, tables)
        centroids = np.concatenate([quantizer.centroids_in_text_space() for quantizer in distinct])
        self.register_buffer("centroids", torch.from_numpy(centroids), persistent=False)  # [rows, text_dim]
        self.projection = nn.Linear(centroids.shape[1], width)
        nn.init.normal_(self.projection.weight, std=_PROJECTION_STD)
        nn.init.zeros_(self.projection.bias)
        count = distinct[0].num_fingerprints
        size = max(mark_count, *(quantizer.layout.codebook_size for quantizer in distinct))
        self.marks = nn.Parameter(torch.zeros(count, size, width))
        self.register_buffer("mark_of_row", torch.from_numpy(_mark_of_row(distinct, size)), persistent=False)  # [rows]

    def table(self) -> torch.Tensor:
        """All rows [rows, width]."""
        tied: torch.Tensor = self.projection(self.centroids)
        return self.free + tied + nn.functional.embedding(self.mark_of_row, self._all_marks())

    def _all_marks(self) -> torch.Tensor:
        """What stands for each mark in a table, and last the zeros of rows without one: [marks + 1, width]."""
        marks = self.marks.flatten(0, 1) * self.layouts[0].num_codebooks
        return torch.cat([marks, marks.new_zeros(1, self.marks.shape[2])])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Item vectors [n, width] of codes given as table rows int64 [n, D]."""
        if len(rows) >= len(self.free):
            return super().forward(rows)
        # The mean of projections is the projection of the mean: one product an item, where a table has more rows.
        texts = nn.functional.embedding_bag(rows, self.centroids, mode="mean")  # [n, text_dim]
        tied: torch.Tensor = self.projection(texts)
        if len(self.marks):
            marked = self.mark_of_row[rows[:, -len(self.marks) :]]  # [n, fingerprints]
            tied = tied + nn.functional.embedding_bag(marked, self.marks.flatten(0, 1), mode="sum")
        return nn.functional.embedding_bag(rows, self.free, mode="mean") + tied

    @contextmanager
    def base_tables(self) -> Iterator[None]:
        """Within, free rows are zero: the tables are those of shops that nothing is known of but their texts."""
        learned = self.free.detach().clone()
        with torch.no_grad():
            self.free.zero_()
        try:
            yield
        finally:
            with torch.no_grad():
                self.free.copy_(learned)

    def export_projection(self) -> Projection:
        """The projection as it is exported."""
        weight, bias = self.projection.weight.detach().cpu(), self.projection.bias.detach().cpu()
        return Projection(weight.numpy().copy(), bias.numpy().copy(), self.marks.detach().cpu().numpy().copy())

    def freeze_projection(self, projection: Projection) -> None:
        """Take a trained projection and keep it, so that only the free rows learn."""
        count, size = self.marks.shape[:2]
        with torch.no_grad():
            self.projection.weight.copy_(torch.from_numpy(projection.weight))
            self.projection.bias.copy_(torch.from_numpy(projection.bias))
            self.marks.copy_(torch.from_numpy(projection.marks[:count, :size]))
        self.projection.requires_grad_(False)
        self.marks.requires_grad_(False)


def _mark_of_row(quantizers: Sequence[Quantizer], size: int) -> npt.NDArray[np.int64]:
    """Which of [fingerprints * size] marks each row of the tables has, or the number after the last: int64 [rows]."""
    places = []
    for quantizer in quantizers:
        layout, count = quantizer.layout, quantizer.num_fingerprints
        of_table = np.full(layout.num_rows, count * size, dtype=np.int64)
        starts, within = np.arange(count)[:, None] * size, np.arange(layout.codebook_size)
        of_table[layout.num_rows - count * layout.codebook_size :] = (starts + within).ravel()
        places.append(of_table)
    return np.concatenate(places)


def _book_starts(layout: CodeLayout) -> npt.NDArray[np.int64]:
    """The first row of the codebook that each row of a table belongs to: int64 [rows]."""
    return np.repeat(np.arange(layout.num_codebooks, dtype=np.int64) * layout.codebook_size, layout.codebook_size)
