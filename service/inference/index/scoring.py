"""The score of an item known by its code: ``score(u, i) = Σ_d (t[d, code[i, d]] · u) / ‖Σ_d t[d, code[i, d]]‖``.

An item's vector is the mean of the table rows that its code addresses (VQ-Rec, arXiv 2210.12316), so its inner product
with a user is a sum of entries of the user's look-up table, one a codebook. An entry is one float32 inner product with
a fixed order of summation, entries are added up in float64 in the order of codebooks, and the quotient is rounded to
float32 once. Every kind of index scores by these functions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.table import CodeTable
from service.inference.index.compiling import kernel
from service.inference.index.items import evenly, for_kernels, norms_and_means
from service.inference.index.lanes import LANES, inner_products
from service.inference.index.protocol import Scores, Slots

_wide_tile = inner_products(4, 4)
_tall_tile = inner_products(8, 1)
_one = inner_products(1, 1)


@dataclass(frozen=True, eq=False)
class CodeScorer:
    """Scores of items under one table.

    Args:
        layout: how a code addresses rows.
        rows: the table, float32 [D * K, width].
        codes: [n, D].
        inverse_norms: float32 [n], one over the length of the sum of an item's rows; 0 for a sum of length 0.
    """

    layout: CodeLayout
    rows: npt.NDArray[np.float32]
    codes: Codes
    inverse_norms: Scores

    @classmethod
    def of(cls, table: CodeTable, codes: Codes, inverse_norms: Scores | None = None, threads: int = 1) -> "CodeScorer":
        """Computes the norms unless they are known.

        Raises:
            InvalidCodesError: if a code does not fit the table's layout.
        """
        table.layout.check(codes)
        rows, codes = for_kernels(table.rows), for_kernels(codes)
        if inverse_norms is None:
            inverse_norms = norms_and_means(rows, codes, evenly(len(codes)), threads)[0]
        return cls(table.layout, rows, codes, for_kernels(inverse_norms))

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.inverse_norms.nbytes

    def look_up_tables(self, user_vectors: Scores) -> Scores:
        """``table · u`` of each user: float32 [q, D * K]."""
        users = padded(user_vectors)
        entries = np.empty((len(users), len(self.rows)), dtype=np.float32)
        fill(self.rows, users, entries)
        return entries

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """See :meth:`VectorIndex.scores`."""
        scores = np.empty(len(slots), dtype=np.float32)
        wanted = np.require(slots, np.int64, ["C", "W"])
        _score(self.rows, padded(user_vector[None]), self.codes, self.inverse_norms, wanted, scores)
        return scores

    def finite(self) -> bool:
        """See :meth:`VectorIndex.finite`."""
        return bool(np.isfinite(self.inverse_norms.sum()))


def padded(user_vectors: Scores) -> Scores:
    """User vectors [q, width] with zeros up to the next multiple of the lanes."""
    count, width = user_vectors.shape
    users = np.zeros((count, -(-width // LANES) * LANES), dtype=np.float32)
    users[:, :width] = user_vectors
    return users


@kernel()
def fill(rows: Any, users: Scores, out: Scores) -> None:
    """Inner products of all rows [n, width], float32 or float16 as uint16, with all padded users: ``out`` [q, n]."""
    num_rows, num_users = len(rows), len(users)
    whole_users = num_users - num_users % 4
    whole_rows = num_rows - num_rows % 4
    for row in range(0, whole_rows, 4):
        for user in range(0, whole_users, 4):
            _wide_tile(rows, row, users, user, out)
    for user in range(whole_users, num_users):
        for row in range(0, num_rows - num_rows % 8, 8):
            _tall_tile(rows, row, users, user, out)
        for row in range(num_rows - num_rows % 8, num_rows):
            _one(rows, row, users, user, out)
    for row in range(whole_rows, num_rows):
        for user in range(whole_users):
            _one(rows, row, users, user, out)


@kernel()
def score(entries: Scores, codes: Any, inverse_norms: Scores, codebook_size: int, slot: int) -> np.float32:
    """The score of one item by a user's look-up table [D * K]."""
    total = 0.0
    first_row = 0
    for place in range(codes.shape[1]):
        total += entries[first_row + codes[slot, place]]
        first_row += codebook_size
    return np.float32(total * inverse_norms[slot])


@kernel()
def fill_for(rows: Scores, users: Scores, user: int, codes: Any, slot: int, entries: Scores) -> None:
    """Fill those entries [1, D * K] of a user's look-up table that one item needs and that are still NaN."""
    codebook_size = len(rows) // codes.shape[1]
    for place in range(codes.shape[1]):
        row = place * codebook_size + int(codes[slot, place])
        if np.isnan(entries[0, row]):
            _one(rows, row, users[user : user + 1], 0, entries)


@kernel()
def _score(rows: Scores, users: Scores, codes: Any, inverse_norms: Scores, slots: Slots, out: Scores) -> None:
    codebook_size = len(rows) // codes.shape[1]
    entries = np.full((1, len(rows)), np.nan, dtype=np.float32)
    for place in range(len(slots)):
        fill_for(rows, users, 0, codes, slots[place], entries)
        out[place] = score(entries[0], codes, inverse_norms, codebook_size, slots[place])
