"""Fingerprints: the same for the same text, spread evenly, and nothing to do with likeness."""

import numpy as np
import numpy.typing as npt
import pytest

from models.fingerprint import fingerprints

TEXT_DIM = 48
STORED = [[56, 213], [34, 55], [163, 162]]


def random_texts(count: int, seed: int = 0) -> npt.NDArray[np.float16]:
    return np.random.default_rng(seed).standard_normal((count, TEXT_DIM)).astype(np.float16)


def test_stored_codes_stay_valid() -> None:
    """Written down once: another hash would make every stored code void without anyone noticing."""
    assert fingerprints(random_texts(3), 2, 256).tolist() == STORED


def test_a_text_has_the_same_in_any_company_and_however_its_vector_is_rounded() -> None:
    texts = random_texts(100)
    together = fingerprints(texts, 3, 256)
    assert fingerprints(texts[7:8], 3, 256).tolist() == together[7:8].tolist()
    rounded = np.nextafter(texts, np.float16(np.inf))  # away from zero and towards it, by the last bit
    assert fingerprints(rounded, 3, 256).tolist() == together.tolist()


@pytest.mark.parametrize("size", [2, 37, 256, 65536])
def test_indices_are_spread_over_the_codebook(size: int) -> None:
    found = fingerprints(random_texts(20_000), 1, size)[:, 0]
    assert found.min() >= 0
    assert found.max() < size
    bins = np.bincount(found * 2 // size, minlength=2)
    assert abs(bins[0] / len(found) - (size + 1) // 2 / size) < 0.02


def test_what_is_alike_has_other_fingerprints_and_one_says_nothing_of_the_next() -> None:
    texts = random_texts(5000)
    near = texts + (0.3 * random_texts(5000, seed=1)).astype(np.float16)
    one, other = fingerprints(texts, 2, 16), fingerprints(near, 2, 16)
    assert (one == other).mean() < 0.1  # 0.0625 by chance, and of some vectors no sign is another
    assert (one[:, 0] == one[:, 1]).mean() < 0.1


def test_none_are_asked_for() -> None:
    assert fingerprints(random_texts(4), 0, 256).shape == (4, 0)
