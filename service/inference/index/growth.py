"""More items for a partition that is there: to make one anew for a few takes long and gains little."""

import faiss
import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from service.inference.index.choice import Arrangement
from service.inference.index.codes import CodeIndex
from service.inference.index.items import unit_vectors
from service.inference.index.ivf import IvfIndex
from service.inference.index.protocol import Scores, VectorIndex

_BLOCK = 1024  # items compared with all lists at a time
_SEED = 0

Lists = npt.NDArray[np.int32]


def grown(
    index: VectorIndex,
    kept: npt.NDArray[np.int64],
    table: CodeTable,
    added: tuple[Codes, Scores],
    reason: str,
) -> Arrangement | None:
    """An arrangement of items that an index keeps and, behind them, others, in the lists of that index.

    An item joins the list of the items that share its code, and if there are none, the one whose mean is the nearest.

    Args:
        index: of the table.
        kept: slots int64 [m].
        table: what codes mean.
        added: codes [n, D] and inverse norms float32 [n] of the other items.
        reason: of the index's kind, for an operator.

    Returns:
        None where the index has no lists, or keeps nothing.
    """
    if not isinstance(index, CodeIndex | IvfIndex) or len(index.lists) == 1 or not len(kept):
        return None
    index_codes = index.scorer.codes if isinstance(index, CodeIndex) else index.exhaustive.scorer.codes
    codes, inverse_norms = added
    of_slots = (np.searchsorted(index.lists.starts, kept, side="right") - 1).astype(np.int32)
    joined = _nearest(index.lists.centroids, table, codes, inverse_norms)
    alike = _same(index_codes[kept], codes)
    joined[alike >= 0] = of_slots[alike[alike >= 0]]
    return Arrangement(index.kind, reason, np.concatenate([of_slots, joined]), len(index.lists))


def _nearest(centroids: npt.NDArray[np.float16], table: CodeTable, codes: Codes, inverse_norms: Scores) -> Lists:
    joined = np.empty(len(codes), dtype=np.int32)
    faiss.omp_set_num_threads(1)  # a setting of the calling thread alone
    means = faiss.IndexFlatIP(table.width)
    means.add(centroids[:, : table.width].astype(np.float32))
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        vectors = unit_vectors(table.rows, codes[block], inverse_norms[block], threads=1)
        joined[block] = means.search(vectors, 1)[1][:, 0]
    return joined


def _same(codes: Codes, wanted: Codes) -> npt.NDArray[np.int64]:
    """For each wanted code where it is among codes [n, D]: int64, -1 for nowhere."""
    hashes = _hashes(codes)
    order = np.argsort(hashes)
    found = order[np.minimum(np.searchsorted(hashes[order], _hashes(wanted)), len(codes) - 1)]
    return np.where((codes[found] == wanted).all(axis=1), found, -1)


def _hashes(codes: Codes) -> npt.NDArray[np.uint64]:
    """The same number for the same code: uint64 [n]."""
    raw = np.ascontiguousarray(codes).view(np.uint8)
    words = np.zeros((len(raw), -(-raw.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : raw.shape[1]] = raw
    factors = np.random.default_rng(_SEED).integers(0, 2**64, words.shape[1] // 8, dtype=np.uint64) | np.uint64(1)
    hashes = np.zeros(len(words), dtype=np.uint64)
    for place, factor in enumerate(factors):
        hashes = (hashes ^ words.view(np.uint64)[:, place]) * factor
        hashes ^= hashes >> np.uint64(29)
    return hashes
