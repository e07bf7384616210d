"""Search over codes alone, by look-up table: no vector is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.items import Starts, for_kernels
from service.inference.index.kernels import gather, search_lists
from service.inference.index.lists import Lists, describe
from service.inference.index.measure import MEASURED_AT, calibration_sample, items_before, reach
from service.inference.index.nominees import ALL, flattened
from service.inference.index.protocol import Mask, Scores, Slots
from service.inference.index.scoring import CodeScorer

_QUERIES = 64  # searched in one go: bounds what look-up tables take to 64 * D * K float32
_GATHER = 0.5  # below this share of the geometric mean of the scan and of all, allowed items are copied together first
_UNCALIBRATED = 0.25  # share of a partition that is searched until a recall was measured


@dataclass(frozen=True, eq=False)
class CodeIndex:
    """Codes are scored by the user's look-up table, those of the most promising lists first.

    With one list every code is scored and the answer is exact. With more, lists are taken until ``scan_items`` allowed
    items were seen; where that would take most of the lists, all allowed items are scored instead, so that a selective
    filter gets the exact answer.

    Args:
        scorer: the items.
        popularity: float32 [n].
        lists: a partition of the slots.
        scan_items: how many allowed items to see at least.
        recall: see :class:`VectorIndex`.
        threads: to compute norms and centroids with.
    """

    scorer: CodeScorer
    popularity: Scores
    lists: Lists
    scan_items: int
    recall: float | None
    threads: int

    kind: Literal["codes"] = "codes"

    @classmethod
    def build(  # noqa: PLR0913, PLR0917 -- the columns of one segment
        cls,
        table: CodeTable,
        codes: Codes,
        popularity: Scores,
        starts: Starts | None = None,
        inverse_norms: Scores | None = None,
        threads: int = 1,
    ) -> "CodeIndex":
        """An index over codes [n, D] in the order of slots, with lists that start at ``starts``, int64 [lists + 1].

        Codes and popularity are kept, not copied. Inverse norms may be given where they are known.

        Raises:
            InvalidCodesError: if a code does not fit the table's layout.
        """
        count = len(codes)
        starts = np.array([0, count], dtype=np.int64) if starts is None else starts
        table.layout.check(codes)
        if inverse_norms is None or len(starts) > 2:
            inverse_norms, lists = describe(table, codes, starts, threads)
        else:
            lists = Lists.single(count, table.width)
        scan = count if len(lists) == 1 else int(_UNCALIBRATED * count)
        return cls(CodeScorer.of(table, codes, inverse_norms), for_kernels(popularity), lists, scan, None, threads)

    def __len__(self) -> int:
        return len(self.popularity)

    @property
    def nbytes(self) -> int:
        """See :class:`VectorIndex`."""
        return self.scorer.nbytes + self.lists.nbytes

    @property
    def inverse_norms(self) -> Scores:
        """See :class:`VectorIndex`."""
        return self.scorer.inverse_norms

    def search(
        self, user_vectors: Scores, k: int, allowed: Mask | None = None, excluded: Sequence[Slots] | None = None
    ) -> tuple[Scores, Slots]:
        """See :meth:`VectorIndex.search`."""
        if allowed is not None:
            some = int(np.count_nonzero(allowed))
            # The fewer are allowed, the more lists it takes to see enough of them, and the less it takes to scan all.
            if some <= _GATHER * sqrt(self.scan_items * len(self)):
                return self._search_only(allowed, some, user_vectors, k, excluded)
        return self._search(user_vectors, k, allowed, excluded)

    def scores(self, user_vector: Scores, slots: Slots) -> Scores:
        """See :meth:`VectorIndex.scores`."""
        return self.scorer.scores(user_vector, slots)

    def under(self, table: CodeTable, popularity: Scores) -> "CodeIndex":
        """See :meth:`VectorIndex.under`."""
        inverse_norms, lists = describe(table, self.scorer.codes, self.lists.starts, self.threads)
        scorer = CodeScorer.of(table, self.scorer.codes, inverse_norms)
        return replace(self, scorer=scorer, popularity=for_kernels(popularity), lists=lists, recall=None)

    def calibrated(self, user_vectors: Scores) -> "CodeIndex":
        """See :meth:`VectorIndex.calibrated`."""
        if len(self.lists) == 1 or not len(user_vectors):
            return self
        users = calibration_sample(user_vectors, len(self))
        truth = replace(self, scan_items=len(self))._search(users, MEASURED_AT, None, None)[1]
        scan_items, recall = reach(items_before(self.lists, users, truth))
        return replace(self, scan_items=scan_items, recall=recall)

    def finite(self) -> bool:
        """See :meth:`VectorIndex.finite`."""
        return self.scorer.finite()

    def _search(
        self, user_vectors: Scores, k: int, allowed: Mask | None, excluded: Sequence[Slots] | None
    ) -> tuple[Scores, Slots]:
        scores = np.empty((len(user_vectors), k), dtype=np.float32)
        slots = np.empty((len(user_vectors), k), dtype=np.int64)
        mask = ALL if allowed is None else for_kernels(allowed)
        for start in range(0, len(user_vectors), _QUERIES):
            some = slice(start, start + _QUERIES)
            users = user_vectors[some]
            search_lists(
                self.scorer.look_up_tables(users), self.scorer.codes, self.scorer.inverse_norms, self.popularity,
                self.lists.starts, self.lists.promise(users), self.scan_items, mask,
                *flattened(excluded[some] if excluded else None, len(users)), scores[some], slots[some],
            )  # fmt: skip
        return scores, slots

    def _search_only(
        self, allowed: Mask, some: int, user_vectors: Scores, k: int, excluded: Sequence[Slots] | None
    ) -> tuple[Scores, Slots]:
        """The best of the allowed, which are ``some``: they are copied together and scanned."""
        chosen = np.empty(some, dtype=np.int64)
        codes = np.empty((some, self.scorer.codes.shape[1]), dtype=self.scorer.codes.dtype)
        inverse_norms, popularity = np.empty(some, dtype=np.float32), np.empty(some, dtype=np.float32)
        gather(
            for_kernels(allowed), _in_words(self.scorer.codes), self.scorer.inverse_norms, self.popularity,
            chosen, _in_words(codes), inverse_norms, popularity,
        )  # fmt: skip
        scorer = replace(self.scorer, codes=codes, inverse_norms=inverse_norms)
        lists = Lists.single(some, self.scorer.rows.shape[1])
        part = CodeIndex(scorer, popularity, lists, some, None, self.threads)
        if excluded is not None:
            excluded = [_places(chosen, slots) for slots in excluded]
        scores, places = part._search(user_vectors, k, None, excluded)
        slots = np.full_like(places, -1)
        slots[places >= 0] = chosen[places[places >= 0]]
        return scores, slots


def _in_words(codes: Codes) -> npt.NDArray[np.unsignedinteger]:
    """Codes eight bytes at a time where they can be read so: they are copied faster."""
    return codes.view(np.uint64) if len(codes) and codes[0].nbytes % 8 == 0 else codes


def _places(chosen: Slots, slots: Slots) -> Slots:
    """Where those of some slots are that are among the chosen, which ascend."""
    places = np.searchsorted(chosen, slots)
    inside = places < len(chosen)
    places, slots = places[inside], slots[inside]
    found: Slots = places[chosen[places] == slots]
    return found
