import numpy as np
import numpy.typing as npt

from benchmarks import scaled


def _real(count: int) -> npt.NDArray[np.float16]:
    """Two distant families."""
    rng = np.random.default_rng(0)
    centres = np.eye(2, 24).repeat(count // 2, axis=0)
    vectors = centres + 0.05 * rng.standard_normal((count, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def _new(count: int) -> npt.NDArray[np.float16]:
    real = _real(200)
    return np.concatenate(list(scaled._new_vectors(real.astype(np.float32), scaled._neighbours(real), count)))


def test_new_vectors_stay_among_their_family_and_keep_their_length() -> None:
    new = _new(1_000).astype(np.float32)
    assert np.allclose(np.linalg.norm(new, axis=1), 1, atol=2e-3)
    assert (new[:, :2].max(axis=1) > 0.8).all()
    assert len(np.unique(new, axis=0)) > 990


def test_a_longer_catalogue_begins_like_a_shorter_one() -> None:
    assert np.array_equal(_new(scaled.BLOCK + 500)[:1_000], _new(1_000))


def test_neighbours_are_the_nearest_others() -> None:
    real = _real(200)
    found = scaled._neighbours(real)
    assert not (found == np.arange(200)[:, None]).any()
    assert ((found < 100) == (np.arange(200) < 100)[:, None]).all()
