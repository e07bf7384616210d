"""Text vectors ─► codes: the nearest centroids, whatever the company, and the way back into text space."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.codes import CodeLayout
from models.errors import InvalidCodesError
from models.fingerprint import fingerprints
from models.quantizer import Quantizer
from models.table import CodeTable

TEXT_DIM = 22


def random_quantizer(layout: CodeLayout, text_dim: int, seed: int = 0) -> Quantizer:
    """An orthonormal rotation, padded where the codebooks do not divide ``text_dim``, and random centroids."""
    rng = np.random.default_rng(seed)
    sub = -(-text_dim // layout.num_codebooks)
    padded = sub * layout.num_codebooks
    rotation = np.linalg.qr(rng.standard_normal((padded, padded)))[0][:text_dim].astype(np.float32)
    centroids = rng.standard_normal((layout.num_codebooks, layout.codebook_size, sub)).astype(np.float32)
    return Quantizer(layout, rotation, centroids)


def random_texts(count: int, text_dim: int = TEXT_DIM, seed: int = 1) -> npt.NDArray[np.float16]:
    return np.random.default_rng(seed).standard_normal((count, text_dim)).astype(np.float16)


@pytest.mark.parametrize("layout", [CodeLayout(4, 16), CodeLayout(11, 8), CodeLayout(2, 300), CodeLayout(22, 2)])
def test_each_index_is_the_nearest_centroid(layout: CodeLayout) -> None:
    quantizer, texts = random_quantizer(layout, TEXT_DIM), random_texts(50)
    codes = quantizer.encode(texts)
    assert codes.dtype == layout.dtype
    sub = quantizer.centroids.shape[2]
    for text, code in zip(texts.astype(np.float64), codes, strict=True):
        parts = (text @ quantizer.rotation.astype(np.float64)).reshape(layout.num_codebooks, sub)
        for part, centroids, index in zip(parts, quantizer.centroids.astype(np.float64), code, strict=True):
            assert index == ((centroids - part) ** 2).sum(axis=1).argmin()


@given(st.integers(0, 2**32 - 1), st.integers(1, 600), st.booleans())
def test_a_text_gets_the_same_code_alone_and_in_any_company(seed: int, count: int, repeated_centroids: bool) -> None:
    layout = CodeLayout(4, 37)
    quantizer = random_quantizer(layout, 48)
    if repeated_centroids:  # as a catalogue with many equal texts makes them
        places = np.random.default_rng(seed).integers(18, size=layout.codebook_size)
        quantizer = Quantizer(layout, quantizer.rotation, np.ascontiguousarray(quantizer.centroids[:, places]))
    texts = random_texts(count, 48, seed)
    order = np.random.default_rng(seed).permutation(count)
    together = quantizer.encode(texts)
    assert quantizer.encode(texts[order]).tobytes() == together[order].tobytes()
    for text in {0, count // 2, count - 1}:
        assert quantizer.encode(texts[text : text + 1]).tobytes() == together[text].tobytes()


@pytest.mark.parametrize("num_codebooks", [1, 2, 4, 5, 7, 22])
def test_the_mean_over_a_codes_rows_is_the_text_vector_that_it_stands_for(num_codebooks: int) -> None:
    layout = CodeLayout(num_codebooks, 16)
    quantizer = random_quantizer(layout, TEXT_DIM)
    codes = quantizer.encode(random_texts(20))
    chosen = np.concatenate([quantizer.centroids[book, codes[:, book]] for book in range(num_codebooks)], axis=1)
    reconstructed = chosen @ quantizer.rotation.T
    means = CodeTable(layout, quantizer.centroids_in_text_space()).raw(codes)
    np.testing.assert_allclose(means, reconstructed, atol=1e-5)


def test_many_centroids_reconstruct_a_text_well_also_where_codebooks_do_not_divide_its_dimension() -> None:
    layout = CodeLayout(5, 256)  # 22 = 5 · 4 + 2
    texts = random_texts(256)
    quantizer = random_quantizer(layout, TEXT_DIM)
    parts = (texts.astype(np.float32) @ quantizer.rotation).reshape(256, 5, -1)
    exact = replace(quantizer, centroids=np.ascontiguousarray(parts.transpose(1, 0, 2)))  # each text has its own
    codes = exact.encode(texts)
    assert (codes == np.arange(256)[:, None]).all()
    restored = CodeTable(layout, exact.centroids_in_text_space()).raw(codes)
    np.testing.assert_allclose(restored, texts.astype(np.float32), atol=1e-4)


def test_no_text_gives_no_code() -> None:
    assert random_quantizer(CodeLayout(4, 16), TEXT_DIM).encode(random_texts(0)).shape == (0, 4)


@pytest.mark.parametrize(
    "texts",
    [
        np.zeros((2, TEXT_DIM + 1), dtype=np.float16),
        np.zeros(TEXT_DIM, dtype=np.float16),
        np.full((1, TEXT_DIM), np.nan, dtype=np.float16),
        np.full((1, TEXT_DIM), np.inf, dtype=np.float16),
    ],
    ids=["dimension", "one-dimensional", "not a number", "infinite"],
)
def test_vectors_that_are_no_texts_are_refused(texts: npt.NDArray[np.float16]) -> None:
    with pytest.raises(InvalidCodesError):
        random_quantizer(CodeLayout(4, 16), TEXT_DIM).encode(texts)


def test_shapes_that_do_not_agree_are_refused() -> None:
    sound = random_quantizer(CodeLayout(4, 16), TEXT_DIM)
    with pytest.raises(InvalidCodesError, match="centroids are"):
        Quantizer(CodeLayout(4, 8), sound.rotation, sound.centroids)
    with pytest.raises(InvalidCodesError, match="rotation"):
        Quantizer(sound.layout, sound.rotation[:, :-1], sound.centroids)
    with pytest.raises(InvalidCodesError, match="not finite"):
        Quantizer(sound.layout, np.full_like(sound.rotation, np.nan), sound.centroids)


def test_the_sha256_tells_quantisers_apart_by_every_value() -> None:
    one, same = random_quantizer(CodeLayout(4, 16), TEXT_DIM), random_quantizer(CodeLayout(4, 16), TEXT_DIM)
    assert one.sha256 == same.sha256
    centroids, rotation = one.centroids.copy(), one.rotation.copy()
    centroids[-1, -1, -1] = np.nextafter(centroids[-1, -1, -1], np.float32(9))
    rotation[0, 0] = np.nextafter(rotation[0, 0], np.float32(9))
    others = [Quantizer(one.layout, one.rotation, centroids), Quantizer(one.layout, rotation, one.centroids)]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 3


def test_indices_beyond_the_centroids_are_fingerprints_that_stand_for_nothing_in_text() -> None:
    plain, texts = random_quantizer(CodeLayout(4, 16), TEXT_DIM), random_texts(50)
    marked = Quantizer(CodeLayout(6, 16), plain.rotation, plain.centroids)
    codes = marked.encode(texts)
    assert marked.num_fingerprints == 2
    assert codes[:, :4].tobytes() == plain.encode(texts).tobytes()
    assert codes[:, 4:].tolist() == fingerprints(texts, 2, 16).tolist()
    assert marked.sha256 != plain.sha256
    meant = CodeTable(plain.layout, plain.centroids_in_text_space()).raw(codes[:, :4])
    np.testing.assert_allclose(CodeTable(marked.layout, marked.centroids_in_text_space()).raw(codes), meant, atol=1e-5)


def test_more_centroids_than_indices_are_refused() -> None:
    plain = random_quantizer(CodeLayout(4, 16), TEXT_DIM)
    with pytest.raises(InvalidCodesError, match="asks for"):
        Quantizer(CodeLayout(3, 16), plain.rotation, plain.centroids)
