"""Search over the item vectors of the most promising lists, with FAISS."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import faiss
import numpy as np

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.codes import CodeIndex
from service.inference.index.items import Starts, evenly, for_kernels, unit_vectors
from service.inference.index.lists import Lists, describe
from service.inference.index.measure import MEASURED_AT, calibration_sample, lists_before, reach
from service.inference.index.nominees import Ranker
from service.inference.index.protocol import Mask, Scores, Slots
from service.inference.index.scoring import CodeScorer

_UNCALIBRATED = 0.25  # share of the lists that is searched until a recall was measured


@dataclass(frozen=True, eq=False)
class IvfIndex:
    """FAISS's inverted lists, over the same partition as the code index and with the same order of lists.

    Nominees are scored again by their codes. Where a filter leaves no more items than a search looks at, or a search
    finds fewer than k, all codes are scored: no answer is short.

    Args:
        index: of FAISS.
        exhaustive: the same items as codes.
        ranker: of the same items.
        lists: the partition.
        probes: how many lists to search.
        recall: see :class:`VectorIndex`.
    """

    index: faiss.IndexIVFFlat
    exhaustive: CodeIndex
    ranker: Ranker
    lists: Lists
    probes: int
    recall: float | None

    kind: Literal["ivf"] = "ivf"

    @classmethod
    def build(cls, table: CodeTable, codes: Codes, popularity: Scores, starts: Starts, threads: int = 1) -> "IvfIndex":
        """An index over codes [n, D] in the order of slots, with lists that start at ``starts``, int64 [lists + 1].

        Raises:
            InvalidCodesError: if a code does not fit the table's layout.
        """
        table.layout.check(codes)
        inverse_norms, lists = describe(table, codes, starts, threads)
        scorer = CodeScorer.of(table, codes, inverse_norms)
        all_items = Lists.single(len(codes), table.width)
        exhaustive = CodeIndex(scorer, for_kernels(popularity), all_items, len(codes), None, threads)
        probes = max(1, int(_UNCALIBRATED * len(lists)))
        ranker = Ranker.of(scorer, popularity)
        return cls(_filled(scorer, lists, threads), exhaustive, ranker, lists, probes, None)

    def __len__(self) -> int:
        return len(self.exhaustive)

    @property
    def nbytes(self) -> int:
        """See :class:`VectorIndex`."""
        vectors: int = self.index.ntotal * (4 * self.index.d + 8)
        return vectors + self.exhaustive.nbytes + 2 * self.lists.nbytes

    @property
    def inverse_norms(self) -> Scores:
        """See :class:`VectorIndex`."""
        return self.exhaustive.inverse_norms

    def search(
        self, user_vectors: Scores, k: int, allowed: Mask | None = None, excluded: Sequence[Slots] | None = None
    ) -> tuple[Scores, Slots]:
        """See :meth:`VectorIndex.search`."""
        matching = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not len(user_vectors) or matching <= self.probes * len(self) // len(self.lists):
            return self.exhaustive.search(user_vectors, k, allowed, excluded)
        scores, slots = self.ranker.search(
            lambda users, fetch: self._nominate(users, fetch, allowed), user_vectors, k, None, excluded
        )
        short = np.flatnonzero(slots[:, min(k, matching) - 1] < 0)
        if len(short):
            left_out = None if excluded is None else [excluded[row] for row in short.tolist()]
            scores[short], slots[short] = self.exhaustive.search(user_vectors[short], k, allowed, left_out)
        return scores, slots

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """See :meth:`VectorIndex.scores`."""
        return self.exhaustive.scores(user_vector, slots)

    def under(self, table: CodeTable, popularity: Scores) -> "IvfIndex":
        """See :meth:`VectorIndex.under`."""
        codes, threads = self.exhaustive.scorer.codes, self.exhaustive.threads
        built = IvfIndex.build(table, codes, popularity, self.lists.starts, threads)
        return replace(built, probes=self.probes)

    def calibrated(self, user_vectors: Scores) -> "IvfIndex":
        """See :meth:`VectorIndex.calibrated`."""
        if not len(user_vectors):
            return self
        users = calibration_sample(user_vectors, len(self))
        truth = self.exhaustive.search(users, MEASURED_AT)[1]
        probes, recall = reach(lists_before(self.lists, users, truth))
        return replace(self, probes=probes, recall=recall)

    def finite(self) -> bool:
        """See :meth:`VectorIndex.finite`."""
        return self.exhaustive.finite()

    def _nominate(self, users: Scores, fetch: int, allowed: Mask | None) -> tuple[Scores, Slots]:
        faiss.omp_set_num_threads(1)  # a setting of the calling thread alone: batches are what runs in parallel here
        promise = self.lists.promise(users)
        probes = min(self.probes, len(self.lists))
        chosen = np.argpartition(-promise, probes - 1, axis=1)[:, :probes].astype(np.int64)
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = probes
        if allowed is not None:
            # FAISS keeps no reference to the bits or the selector: both must outlive the search, and do as locals.
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters.sel = selector
        users = np.ascontiguousarray(users)
        dots = np.take_along_axis(promise, chosen, axis=1)
        found = np.empty((len(users), fetch), dtype=np.float32)
        nominees = np.empty((len(users), fetch), dtype=np.int64)
        # FAISS's wrapper around this takes no parameters.
        self.index.search_preassigned_c(  # type: ignore[attr-defined]
            len(users), faiss.swig_ptr(users), fetch, faiss.swig_ptr(chosen), faiss.swig_ptr(dots),
            faiss.swig_ptr(found), faiss.swig_ptr(nominees), False, parameters,
        )  # fmt: skip
        return found, nominees


def _filled(scorer: CodeScorer, lists: Lists, threads: int) -> faiss.IndexIVFFlat:
    width = scorer.rows.shape[1]
    quantizer = faiss.IndexFlatIP(width)
    quantizer.add(lists.centroids[:, :width].astype(np.float32))
    index = faiss.IndexIVFFlat(quantizer, width, len(lists), faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    of_item = np.repeat(np.arange(len(lists), dtype=np.int64), np.diff(lists.starts))
    starts = evenly(len(of_item))
    for first, last in pairwise(starts.tolist()):
        part = slice(first, last)
        vectors = unit_vectors(scorer.rows, scorer.codes[part], scorer.inverse_norms[part], threads)
        chosen = np.ascontiguousarray(of_item[part])
        index.add_core(len(vectors), faiss.swig_ptr(vectors), None, faiss.swig_ptr(chosen))
    return index
