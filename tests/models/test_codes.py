"""The layout of item codes: which table rows a code addresses, and the bytes it is stored as."""

from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.codes import ITEMS_PER_CENTROID, CodeLayout, Codes
from models.errors import InvalidCodesError, VqrecError


def random_codes(layout: CodeLayout, count: int, seed: int = 0) -> Codes:
    drawn = np.random.default_rng(seed).integers(layout.codebook_size, size=(count, layout.num_codebooks))
    return cast(Codes, drawn.astype(layout.dtype))


layouts = st.builds(CodeLayout, st.integers(1, 40), st.integers(2, 600))


def test_an_index_addresses_its_codebooks_block_of_rows_from_its_first_row_on() -> None:
    layout = CodeLayout(num_codebooks=3, codebook_size=10)
    rows = layout.rows(np.array([[0, 0, 0], [9, 1, 5]], dtype=np.uint8))
    assert rows.tolist() == [[0, 10, 20], [9, 11, 25]]
    assert layout.num_rows == 30


@given(layouts)
def test_the_highest_code_addresses_the_last_row(layout: CodeLayout) -> None:
    highest = np.full((1, layout.num_codebooks), layout.codebook_size - 1, dtype=layout.dtype)
    assert layout.rows(highest)[0, -1] == layout.num_rows - 1


def test_rows_do_not_overflow_in_the_largest_layout() -> None:
    layout = CodeLayout(1024, 65536)
    highest = np.full((1, 1024), 65535, dtype=layout.dtype)
    assert layout.rows(highest).max() == 1024 * 65536 - 1


@pytest.mark.parametrize(("codebook_size", "dtype", "bytes_per_code"), [(256, "u1", 32), (257, "<u2", 64)])
def test_an_index_takes_a_byte_up_to_256_centroids_and_two_above(
    codebook_size: int, dtype: str, bytes_per_code: int
) -> None:
    layout = CodeLayout(32, codebook_size)
    assert layout.dtype == np.dtype(dtype)
    assert layout.bytes_per_code == bytes_per_code
    assert [len(raw) for raw in layout.to_bytes(random_codes(layout, 3))] == [bytes_per_code] * 3


@given(layouts, st.integers(0, 20))
def test_bytes_lead_back_to_the_codes(layout: CodeLayout, count: int) -> None:
    codes = random_codes(layout, count)
    restored = layout.from_bytes(layout.to_bytes(codes))
    assert restored.dtype == layout.dtype
    assert restored.shape == (count, layout.num_codebooks)
    assert (restored == codes).all()


def test_two_byte_indices_are_stored_little_endian() -> None:
    layout = CodeLayout(2, 1000)
    assert layout.to_bytes(np.array([[1, 256]], dtype="<u2")) == [b"\x01\x00\x00\x01"]


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((2, 3), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
        np.zeros((2, 4), dtype=np.int64),
        np.zeros((2, 4), dtype="<u2"),
        np.full((1, 4), 10, dtype=np.uint8),
    ],
    ids=["codebooks", "one-dimensional", "signed", "too wide", "index out of range"],
)
def test_codes_of_another_form_are_refused(codes: npt.NDArray[np.uint8]) -> None:
    layout = CodeLayout(4, 10)
    for use in (layout.check, layout.rows, layout.to_bytes):
        with pytest.raises(InvalidCodesError):
            use(codes)


@pytest.mark.parametrize("raw", [[b"\x00" * 4, b"\x00" * 3], [b""], [b"\x00" * 5], [b"\x00\x00\x00\x0a"]])
def test_bytes_that_are_no_code_are_refused(raw: list[bytes]) -> None:
    with pytest.raises(InvalidCodesError):
        CodeLayout(4, 10).from_bytes(raw)


@pytest.mark.parametrize("sizes", [(0, 256), (-1, 256), (1025, 256), (32, 1), (32, 65537)])
def test_sizes_out_of_range_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(VqrecError):
        CodeLayout(*sizes)


@given(st.integers(0, 10_000), st.integers(1, 16).map(lambda power: 2**power))
def test_the_fitting_layout_is_the_largest_that_the_items_fill(num_items: int, wanted: int) -> None:
    fitting = CodeLayout.fitting(num_items, CodeLayout(8, wanted))
    assert fitting.num_codebooks == 8
    size = fitting.codebook_size
    assert 2 <= size <= wanted
    assert size & (size - 1) == 0
    assert size == 2 or size * ITEMS_PER_CENTROID <= num_items
    assert size == wanted or size * 2 * ITEMS_PER_CENTROID > num_items


def test_a_large_catalogue_gets_the_default_layout() -> None:
    assert CodeLayout.fitting(1_000_000) == CodeLayout(32, 256)
