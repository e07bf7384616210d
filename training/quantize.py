"""Train a quantiser on text vectors, and say how well its codes tell items apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.cpu import available_cpus
from models.quantizer import Quantizer

# FAISS's default is 50, most of a minute for a few thousand items.
_ROTATION_ROUNDS = 15


@dataclass(frozen=True)
class CodeReport:
    """How items share codes and how codes use their codebooks.

    ``shared`` is the share of items whose code another item has too: those are indistinguishable. ``used`` is the share
    of each codebook's centroids that some item has, as minimum and mean over the codebooks.
    """

    items: int
    distinct: int
    shared: float
    used_min: float
    used_mean: float

    def __str__(self) -> str:
        return (
            f"{self.items} items, {self.distinct} distinct codes, {self.shared:.1%} of the items share theirs; "
            f"centroids in use {self.used_mean:.0%} (least used codebook {self.used_min:.0%})"
        )


def train_quantizer(
    text_vectors: npt.NDArray[np.float16], layout: CodeLayout, seed: int, fingerprints: int = 0
) -> Quantizer:
    """Optimised product quantisation, rotation and centroids by turns; fingerprints need no training.

    Source: Ge, He, Ke, Sun, "Optimized Product Quantization", TPAMI 2014; FAISS's implementation.

    Args:
        text_vectors: float16 [n, text_dim] of the items of the training split alone, n at least ``codebook_size``.
        layout: of the codes, fingerprints included. Where the number of codebooks that have centroids does not divide
            text_dim, the rotation pads with zeros.
        seed: fixes the centroids' start. The result is the same for the same number of threads, in which sums are cut.
        fingerprints: how many indices of a code are :mod:`fingerprints <models.fingerprint>`.

    Raises:
        ValueError: if there are fewer vectors than centroids, or no index is left for a codebook.
    """
    if not 0 <= fingerprints < layout.num_codebooks:
        raise ValueError(f"{fingerprints} fingerprints leave no codebook of {layout.num_codebooks} indices")
    if len(text_vectors) < layout.codebook_size:
        raise ValueError(f"{len(text_vectors)} items cannot fill {layout.codebook_size} centroids: choose fewer")
    text_dim = text_vectors.shape[1]
    books = CodeLayout(layout.num_codebooks - fingerprints, layout.codebook_size)
    padded_dim = -(-text_dim // books.num_codebooks) * books.num_codebooks
    vectors = np.zeros((len(text_vectors), padded_dim), dtype=np.float32)
    vectors[:, :text_dim] = text_vectors
    with _all_threads():
        rotation = _train_rotation(vectors, books, seed)  # [padded_dim, padded_dim]
        centroids = _train_centroids(vectors @ rotation, books, seed)
    return Quantizer(layout, np.ascontiguousarray(rotation[:text_dim]), centroids)


def report_codes(codes: Codes, layout: CodeLayout) -> CodeReport:
    """Count what codes [n, D] share and use."""
    _, counts = np.unique(codes, axis=0, return_counts=True)
    used = [len(np.unique(codes[:, book])) / layout.codebook_size for book in range(layout.num_codebooks)]
    shared = float(counts[counts > 1].sum() / len(codes))
    return CodeReport(len(codes), len(counts), shared, min(used), float(np.mean(used)))


@contextmanager
def _all_threads() -> Iterator[None]:
    """FAISS counts them by a setting of the calling thread, which torch and whoever searches in FAISS write as well."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(available_cpus())
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _train_rotation(vectors: npt.NDArray[np.float32], layout: CodeLayout, seed: int) -> npt.NDArray[np.float32]:
    dim = vectors.shape[1]
    transform = faiss.OPQMatrix(dim, layout.num_codebooks)
    transform.niter = _ROTATION_ROUNDS
    quantizer = _product_quantizer(dim, layout, seed)
    transform.pq = quantizer
    # FAISS writes past its buffers where there are fewer vectors than dimensions; repeating all changes no mean.
    transform.train(np.tile(vectors, (-(-dim // len(vectors)), 1)))
    return np.ascontiguousarray(faiss.vector_to_array(transform.A).reshape(dim, dim).T)


def _train_centroids(rotated: npt.NDArray[np.float32], layout: CodeLayout, seed: int) -> npt.NDArray[np.float32]:
    quantizer = _product_quantizer(rotated.shape[1], layout, seed)
    quantizer.train(np.ascontiguousarray(rotated))
    centroids = faiss.vector_to_array(quantizer.centroids)
    return np.ascontiguousarray(
        centroids.reshape(layout.num_codebooks, quantizer.ksub, -1)[:, : layout.codebook_size], dtype=np.float32
    )


def _product_quantizer(dim: int, layout: CodeLayout, seed: int) -> "faiss.ProductQuantizer":
    if layout.codebook_size & (layout.codebook_size - 1):
        raise ValueError(f"the codebook size must be a power of two to be trained, not {layout.codebook_size}")
    quantizer = faiss.ProductQuantizer(dim, layout.num_codebooks, layout.codebook_size.bit_length() - 1)
    quantizer.cp.seed = seed
    quantizer.cp.min_points_per_centroid = 1  # else FAISS writes warnings to the terminal
    return quantizer
