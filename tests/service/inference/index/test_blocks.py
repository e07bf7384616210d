"""The bounds that let a scan leave most items out."""

import numba
import numpy as np
import numpy.typing as npt
import pytest

from models.codes import CodeLayout
from service.inference.index.blocks import BLOCK, TABLE, lowest_bit, round_up, set_sums, survivors

LAYOUTS = [CodeLayout(32, 256), CodeLayout(32, 40), CodeLayout(64, 256), CodeLayout(3, 7), CodeLayout(5, 700)]


@numba.njit
def sums_of(codes: object, first: int, tables: object, sums: object) -> None:
    set_sums(codes, first, tables, sums)


@numba.njit
def survivors_of(  # noqa: PLR0917 -- as the intrinsic takes them
    sums: object, base: float, step: float, norms: object, first: int, least: float
) -> int:
    return survivors(sums, base, step, norms, first, least)


@numba.njit
def lowest_of(bits: int) -> int:
    return lowest_bit(bits)


def tables_of(layout: CodeLayout) -> npt.NDArray[np.uint8]:
    return np.zeros(layout.num_codebooks * max(TABLE, layout.codebook_size), dtype=np.uint8)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_sums_of_a_block_are_those_of_its_items(layout: CodeLayout) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(layout.codebook_size, size=(200, layout.num_codebooks)).astype(layout.dtype)
    tables = rng.integers(256, size=tables_of(layout).shape).astype(np.uint8)
    by_book = tables.reshape(layout.num_codebooks, -1).astype(np.int64)
    expected = sum(by_book[book][codes[:, book]] for book in range(layout.num_codebooks))
    sums = np.empty(BLOCK, dtype=np.uint32)
    for first in (0, 1, 77, 200 - BLOCK):
        sums_of(codes, first, tables, sums)
        np.testing.assert_array_equal(sums, expected[first : first + BLOCK])


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
def test_a_bound_is_never_below_the_score_and_not_far_above(layout: CodeLayout, scale: float) -> None:
    rng = np.random.default_rng(1)
    entries = (rng.standard_normal(layout.num_rows) * scale).astype(np.float32)
    codes = rng.integers(layout.codebook_size, size=(5000, layout.num_codebooks))
    tables = tables_of(layout)
    base, step = round_up(entries, layout.num_codebooks, tables)
    by_book = tables.reshape(layout.num_codebooks, -1)
    books = np.arange(layout.num_codebooks)
    bounds = base + step * by_book[books, codes].astype(np.float32).sum(axis=1, dtype=np.float32)
    scores = entries.astype(np.float64).reshape(layout.num_codebooks, -1)[books, codes].sum(axis=1)
    assert (bounds >= scores).all()
    assert (bounds - scores <= layout.num_codebooks * step * 1.01 + 1e-4 * scale * layout.num_codebooks).all()


def test_what_survives_reaches_the_least_score() -> None:
    rng = np.random.default_rng(2)
    sums = rng.integers(8000, size=BLOCK).astype(np.uint32)
    norms = rng.random(100).astype(np.float32)
    base, step, least = np.float32(-3), np.float32(0.001), np.float32(0.2)
    reached = (base + step * sums.astype(np.float32)) * norms[20 : 20 + BLOCK] >= least
    bits = int(survivors_of(sums, base, step, norms, 20, least))
    assert 0 < reached.sum() < BLOCK
    assert [bool(bits >> lane & 1) for lane in range(BLOCK)] == reached.tolist()


@pytest.mark.parametrize("place", [0, 1, 31, 32, 63])
def test_the_lowest_bit_is_found(place: int) -> None:
    assert lowest_of(np.uint64(1 << place | 1 << 63)) == place
