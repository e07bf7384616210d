"""Exhaustive search over item vectors with FAISS."""

from collections.abc import Sequence
from math import ceil
from typing import Literal

import faiss
import numpy as np

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.items import unit_vectors
from service.inference.index.nominees import Ranker
from service.inference.index.protocol import Mask, Scores, Slots
from service.inference.index.scoring import CodeScorer

_BLOCK = 1 << 16  # vectors that are added in one go
_MOSTLY = 0.5  # above this share of allowed items it is faster to search all and drop the others from the candidates

# Queries × width from which FAISS multiplies matrices. Its default of 128,000 was tuned for many threads; on one thread
# a product is faster from about 4 queries of width 300 on, and for 64 of them 5 times (its pull request 5109).
_BLAS_FROM = 1200


class FlatIndex:
    """Every vector is compared; exact also where items tie or differ in the last bit.

    FAISS sums in another order for another batch, so its scores only nominate: nominees are scored again by their
    codes. Nominees are enough when the best k of them beat all that FAISS left out by more than both scores' rounding
    error; when they do not, for instance because more than k items share a code, FAISS is asked again, for more.

    Args:
        table: what codes mean.
        codes: [n, D], in the order of slots; kept, not copied.
        popularity: float32 [n].
        inverse_norms: float32 [n], where they are known.
        threads: to compute vectors with.
    """

    kind: Literal["flat"] = "flat"
    recall: float | None = None

    def __init__(
        self,
        table: CodeTable,
        codes: Codes,
        popularity: Scores,
        inverse_norms: Scores | None = None,
        threads: int = 1,
    ) -> None:
        self._scorer = CodeScorer.of(table, codes, inverse_norms, threads)
        self._threads = threads
        self._index = faiss.IndexFlatIP(table.width)
        scorer = self._scorer
        for start in range(0, len(codes), _BLOCK):
            some = slice(start, start + _BLOCK)
            self._index.add(unit_vectors(scorer.rows, scorer.codes[some], scorer.inverse_norms[some], threads))
        self._ranker = Ranker.of(scorer, popularity)

    def __len__(self) -> int:
        count: int = self._index.ntotal
        return count

    @property
    def inverse_norms(self) -> Scores:
        """See :class:`VectorIndex`."""
        return self._scorer.inverse_norms

    @property
    def nbytes(self) -> int:
        """See :class:`VectorIndex`."""
        vectors: int = 4 * self._index.ntotal * self._index.d
        return self._scorer.nbytes + vectors

    def search(
        self, user_vectors: Scores, k: int, allowed: Mask | None = None, excluded: Sequence[Slots] | None = None
    ) -> tuple[Scores, Slots]:
        """See :meth:`VectorIndex.search`."""
        share = 1.0 if allowed is None else max(1, int(np.count_nonzero(allowed))) / max(1, len(self))
        selector = allowed if share <= _MOSTLY else None
        factor = 1.0 if selector is not None else 1 / share

        def nominate(users: Scores, fetch: int) -> tuple[Scores, Slots]:
            return self._nominate(users, min(ceil(fetch * factor), len(self)), selector)

        return self._ranker.search(nominate, user_vectors, k, allowed, excluded)

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """See :meth:`VectorIndex.scores`."""
        return self._scorer.scores(user_vector, slots)

    def under(self, table: CodeTable, popularity: Scores) -> "FlatIndex":
        """See :meth:`VectorIndex.under`."""
        return FlatIndex(table, self._scorer.codes, popularity, threads=self._threads)

    def calibrated(self, user_vectors: Scores) -> "FlatIndex":  # noqa: ARG002 -- an exact index has nothing to choose
        """See :meth:`VectorIndex.calibrated`."""
        return self

    def finite(self) -> bool:
        """See :meth:`VectorIndex.finite`."""
        return self._scorer.finite()

    def _nominate(self, users: Scores, fetch: int, allowed: Mask | None) -> tuple[Scores, Slots]:
        faiss.omp_set_num_threads(1)  # a setting of the calling thread alone: batches are what runs in parallel here
        faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM
        if allowed is None:
            scores, slots = self._index.search(users, fetch)
        else:
            # FAISS keeps no reference to the bits or the selector: both must outlive the search, and do as locals.
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters()
            parameters.sel = selector
            scores, slots = self._index.search(users, fetch, params=parameters)
        return scores, slots
