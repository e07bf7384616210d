"""Nearest items of user vectors: the protocol, and FAISS's flat index behind it."""

from math import ceil
from typing import Protocol

import faiss
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
Slots = npt.NDArray[np.int64]

_SPARE = 16  # candidates beyond the k asked for: enough that few queries must be searched again
_GROWTH = 4
_MOSTLY = 0.5  # above this share of allowed items it is faster to search all and drop the others from the candidates
_SCORE_BLOCK = 4096

# Queries × width from which FAISS multiplies matrices. Its default of 128,000 was tuned for many threads; on one thread
# a product is faster from about 4 queries of width 300 on, and for 64 of them 5 times (its pull request 5109).
_BLAS_FROM = 1200


class VectorIndex(Protocol):
    """Finds the items whose vectors have the largest inner product with a user vector, both of length one.

    A score is a function of the two vectors alone: it does not depend on the other queries, on the other items or on
    the size of the index, and equal vectors get equal scores.
    """

    def search(self, user_vectors: Scores, k: int, allowed: Mask | None = None) -> tuple[Scores, Slots]:
        """The best ``k`` items of each user, best first, and those of equal score by slot.

        Args:
            user_vectors: float32 [q, width].
            k: at least 1.
            allowed: the items that may be found, bool [n]; None for all.

        Returns:
            scores float32 [q, k] and slots int64 [q, k]; where there are fewer items, -inf and -1.
        """
        ...

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """The scores of some items for one user, float32 [width] ─► float32 [len(slots)], as a search gives them."""
        ...


class FlatIndex:
    """Exhaustive search with FAISS, exact also where items tie or differ in the last bit.

    FAISS sums in another order for another batch, so its scores only nominate: nominees are scored again one by one in
    float64. Nominees are enough when the best k of them beat all that FAISS left out by more than its rounding error;
    when they do not, for instance because more than k items share a vector, FAISS is asked again, for more.

    Args:
        vectors: float32 [n, width], of length one; they are copied.
    """

    def __init__(self, vectors: npt.NDArray[np.float32]) -> None:
        self._count, self._width = vectors.shape
        self._index = faiss.IndexFlatIP(self._width)
        self._index.add(np.ascontiguousarray(vectors))
        self._rounding = self._width * 2.0**-24  # bounds the error of a float32 product of two unit vectors

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """float32 [n, width]: a view of FAISS's own memory, valid as long as this index is."""
        if not self._count:
            return np.empty((0, self._width), dtype=np.float32)
        flat: npt.NDArray[np.float32] = faiss.rev_swig_ptr(self._index.get_xb(), self._count * self._width)
        return flat.reshape(self._count, self._width)

    def search(self, user_vectors: Scores, k: int, allowed: Mask | None = None) -> tuple[Scores, Slots]:
        """See :meth:`VectorIndex.search`."""
        scores = np.full((len(user_vectors), k), -np.inf, dtype=np.float32)
        slots = np.full((len(user_vectors), k), -1, dtype=np.int64)
        if not self._count:
            return scores, slots
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / self._count
        selective = share <= _MOSTLY
        fetch = k + _SPARE if selective else ceil((k + _SPARE) / share)
        pending = list(range(len(user_vectors)))
        while pending:
            fetch = min(fetch, self._count)
            found, candidates = self._nominate(user_vectors[pending], fetch, allowed if selective else None)
            unsettled = []
            for row, worst, nominees in zip(pending, found[:, -1], candidates, strict=True):
                best, order = self._rank(user_vectors[row], nominees, allowed)
                # FAISS pads with -1 when nothing is left to nominate.
                everything = fetch == self._count or nominees[-1] < 0
                if everything or (len(best) >= k and best[k - 1] > worst + self._rounding):
                    count = min(k, len(best))
                    scores[row, :count], slots[row, :count] = best[:count], order[:count]
                else:
                    unsettled.append(row)
            pending = unsettled
            selective = allowed is not None
            fetch *= _GROWTH
        return scores, slots

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """See :meth:`VectorIndex.scores`."""
        return exact_scores(self.vectors, slots, user_vector)

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

    def _rank(self, user: Scores, nominees: Slots, allowed: Mask | None) -> tuple[Scores, Slots]:
        """The allowed of ``nominees`` with their scores, best first."""
        slots = nominees[nominees >= 0]
        if allowed is not None:
            slots = slots[allowed[slots]]
        scores = exact_scores(self.vectors, slots, user)
        order = np.lexsort((slots, -scores))
        return scores[order], slots[order]


def exact_scores(vectors: npt.NDArray[np.float32], slots: Slots, user: Scores) -> Scores:
    """Inner products of one user with some items: float32 [len(slots)].

    Each row is summed on its own in float64, so that a score is the same in any company.
    """
    wide = user.astype(np.float64)
    scores = np.empty(len(slots), dtype=np.float32)
    for start in range(0, len(slots), _SCORE_BLOCK):
        block = slots[start : start + _SCORE_BLOCK]
        scores[start : start + _SCORE_BLOCK] = np.einsum("nw,w->n", vectors[block].astype(np.float64), wide)
    return scores
