"""Codes ─► item vectors: the mean of the rows that a code addresses."""

from typing import cast

import numpy as np
import pytest

from models.codes import CodeLayout, Codes
from models.errors import InvalidCodesError
from models.table import CodeTable
from tests.tiny_models import LAYOUT, WIDTH, tiny_table


def random_codes(count: int, layout: CodeLayout = LAYOUT) -> Codes:
    drawn = np.random.default_rng(0).integers(layout.codebook_size, size=(count, layout.num_codebooks))
    return cast(Codes, drawn.astype(layout.dtype))


def test_the_raw_vector_is_the_mean_of_the_codes_rows() -> None:
    table, codes = tiny_table(0), random_codes(20)
    for code, vector in zip(codes, table.raw(codes), strict=True):
        rows = [table.rows[book * LAYOUT.codebook_size + int(index)] for book, index in enumerate(code)]
        np.testing.assert_allclose(vector, np.mean(rows, axis=0), rtol=1e-6)


def test_the_normalised_vector_points_the_same_way_and_has_length_one() -> None:
    table, codes = tiny_table(0), random_codes(20)
    raw, normalized = table.raw(codes), table.normalized(codes)
    np.testing.assert_allclose(np.linalg.norm(normalized, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(normalized * np.linalg.norm(raw, axis=1, keepdims=True), raw, atol=1e-6)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1, atol=0.1)


@pytest.mark.parametrize("layout", [LAYOUT, CodeLayout(32, 256), CodeLayout(7, 300)])
def test_an_item_has_the_same_vector_alone_and_in_a_large_catalogue(layout: CodeLayout) -> None:
    table, codes = tiny_table(0, layout, width=12), random_codes(9000, layout)  # more than are looked up at a time
    raw, normalized = table.raw(codes), table.normalized(codes)
    for item in (0, 4711, 8191, 8192, 8999):
        alone = codes[item : item + 1]
        assert table.raw(alone).tobytes() == raw[item].tobytes()
        assert table.normalized(alone).tobytes() == normalized[item].tobytes()


def test_an_item_whose_rows_cancel_out_stays_a_vector_of_zeros() -> None:
    layout = CodeLayout(2, 2)
    rows = np.array([[1, 2], [0, 0], [-1, -2], [0, 0]], dtype=np.float32)
    assert CodeTable(layout, rows).normalized(np.zeros((1, 2), dtype=np.uint8)).tolist() == [[0, 0]]


def test_no_codes_give_no_vectors() -> None:
    assert tiny_table(0).raw(random_codes(0)).shape == (0, WIDTH)
    assert tiny_table(0).normalized(random_codes(0)).shape == (0, WIDTH)


def test_rows_that_do_not_fit_the_layout_are_refused() -> None:
    rows = tiny_table(0).rows
    for wrong in (rows[:-1], rows[0], np.full_like(rows, np.inf), np.full_like(rows, np.nan)):
        with pytest.raises(InvalidCodesError):
            CodeTable(LAYOUT, wrong)


def test_codes_of_another_layout_are_refused() -> None:
    with pytest.raises(InvalidCodesError):
        tiny_table(0).raw(random_codes(3, CodeLayout(5, 8)))
