"""Everything compiled before it is needed: kernels are compiled when they are first called, for the types they get."""

from itertools import product

import numpy as np

from models.codes import CodeLayout
from models.table import CodeTable
from service.inference.index.codes import CodeIndex
from service.inference.index.flat import FlatIndex
from service.inference.index.items import raw_vectors
from service.inference.index.ivf import IvfIndex
from service.inference.index.protocol import VectorIndex

# Indices of one byte and of two, and of either kind codes that are read eight bytes at a time and that are not.
_LAYOUTS = (CodeLayout(32, 256), CodeLayout(3, 256), CodeLayout(4, 257), CodeLayout(3, 257))
_COUNT, _WIDTH = 256, 4


def warm_up_kernels() -> None:
    """Compile every kernel, or read it from the cache on disk: seconds without a cache, a moment with one."""
    starts = np.array([0, _COUNT // 2, _COUNT], dtype=np.int64)
    for layout in _LAYOUTS:
        table = CodeTable(layout, np.ones((layout.num_rows, _WIDTH), dtype=np.float32))
        codes = np.zeros((_COUNT, layout.num_codebooks), dtype=layout.dtype)
        popularity = np.zeros(_COUNT, dtype=np.float32)
        raw_vectors(table.rows, codes)
        _exercise(FlatIndex(table, codes, popularity))
        _exercise(CodeIndex.build(table, codes, popularity, starts))
        _exercise(IvfIndex.build(table, codes, popularity, starts))


def _exercise(index: VectorIndex) -> None:
    users = np.ones((5, _WIDTH), dtype=np.float32)
    excluded = [np.zeros(1, dtype=np.int64)] * len(users)
    masks = (None, np.ones(_COUNT, dtype=np.bool_), np.arange(_COUNT) < 2)
    for allowed, barred in product(masks, (None, excluded)):
        index.search(users, 2, allowed, barred)
    index.scores(users[0], np.arange(2))
    index.calibrated(users)
