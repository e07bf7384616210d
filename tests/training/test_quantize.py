"""Training a quantiser: what it guarantees, and what it says of its codes."""

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from models.codes import CodeLayout
from models.table import CodeTable
from training.quantize import report_codes, train_quantizer


def text_vectors(count: int, text_dim: int = 24, seed: int = 0) -> npt.NDArray[np.float16]:
    """Texts on a low-dimensional, tilted cloud, as real ones are."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, 6)) @ rng.standard_normal((6, text_dim))).astype(np.float16)


def error(vectors: npt.NDArray[np.float16], layout: CodeLayout, seed: int = 0) -> float:
    """The share of the vectors' variance that their codes lose."""
    quantizer = train_quantizer(vectors, layout, seed)
    restored = CodeTable(layout, quantizer.centroids_in_text_space()).raw(quantizer.encode(vectors))
    exact = vectors.astype(np.float64)
    return float(((restored - exact) ** 2).sum() / ((exact - exact.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("layout", [CodeLayout(4, 16), CodeLayout(8, 64), CodeLayout(5, 16), CodeLayout(2, 512)])
def test_codes_keep_most_of_what_texts_say_also_where_codebooks_do_not_divide_the_dimension(
    layout: CodeLayout,
) -> None:
    vectors = text_vectors(600)
    coarse = error(vectors, CodeLayout(layout.num_codebooks, 2))
    assert error(vectors, layout) < min(0.3, 0.6 * coarse)


@pytest.mark.parametrize("num_codebooks", [4, 5])
def test_the_rotation_is_orthonormal(num_codebooks: int) -> None:
    quantizer = train_quantizer(text_vectors(300), CodeLayout(num_codebooks, 16), seed=0)
    np.testing.assert_allclose(quantizer.rotation @ quantizer.rotation.T, np.eye(24), atol=1e-4)


def test_the_same_seed_makes_the_same_quantiser_and_another_seed_another() -> None:
    vectors, layout = text_vectors(300), CodeLayout(4, 16)
    shas = [train_quantizer(vectors, layout, seed).sha256 for seed in (3, 3, 4)]
    assert shas[0] == shas[1] != shas[2]


def test_the_terminal_stays_clean_also_where_items_are_few(capfd: pytest.CaptureFixture[str]) -> None:
    train_quantizer(text_vectors(64), CodeLayout(4, 64), seed=0)
    train_quantizer(np.repeat(text_vectors(4), 20, axis=0), CodeLayout(4, 16), seed=0)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("count", [2, 3, 50, 95, 96, 97])
def test_fewer_items_than_dimensions_are_enough(count: int) -> None:
    """In a process of its own, since FAISS by itself would take this one with it."""
    code = (
        "import sys, numpy as np; from models.codes import CodeLayout; from training.quantize import train_quantizer;"
        "texts = np.random.default_rng(0).standard_normal((int(sys.argv[1]), 96)).astype(np.float16);"
        "quantizer = train_quantizer(texts, CodeLayout(8, 2), 0);"
        "print(float(np.abs(quantizer.rotation @ quantizer.rotation.T - np.eye(96)).max()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(count)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ValueError, match="15 items cannot fill 16 centroids"):
        train_quantizer(text_vectors(15), CodeLayout(4, 16), seed=0)


def test_a_codebook_size_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        train_quantizer(text_vectors(200), CodeLayout(4, 100), seed=0)


def test_the_report_counts_items_that_share_a_code_and_centroids_in_use() -> None:
    layout = CodeLayout(2, 8)
    codes = np.array([[0, 0], [0, 0], [0, 1], [1, 1], [1, 1], [1, 1]], dtype=np.uint8)
    report = report_codes(codes, layout)
    assert (report.items, report.distinct) == (6, 3)
    assert report.shared == pytest.approx(5 / 6)
    assert (report.used_min, report.used_mean) == (2 / 8, 2 / 8)
    report = report_codes(np.array([[0, 0], [1, 0], [2, 1]], dtype=np.uint8), layout)
    assert (report.shared, report.used_min, report.used_mean) == (0, 2 / 8, 2.5 / 8)
    assert "3 items, 3 distinct codes" in str(report)
