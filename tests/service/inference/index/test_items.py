"""Item vectors as kernels make them."""

import numpy as np
import pytest

from models.codes import CodeLayout
from models.table import CodeTable
from service.inference.index.items import raw_vectors


@pytest.mark.parametrize(
    ("layout", "width"),
    [(CodeLayout(32, 256), 300), (CodeLayout(4, 8), 8), (CodeLayout(7, 300), 33), (CodeLayout(9, 5), 300)],
)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_raw_vectors_are_those_that_training_sees_bit_for_bit(layout: CodeLayout, width: int, count: int) -> None:
    rng = np.random.default_rng(0)
    table = CodeTable(layout, rng.standard_normal((layout.num_rows, width)).astype(np.float32))
    codes = rng.integers(layout.codebook_size, size=(count, layout.num_codebooks)).astype(layout.dtype)
    np.testing.assert_array_equal(raw_vectors(table.rows, codes), table.raw(codes))
