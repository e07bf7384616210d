"""Text vectors ─► codes: an orthonormal rotation, then the nearest centroid in each codebook (OPQ), then fingerprints.

Source: Ge, He, Ke, Sun, "Optimized Product Quantization", TPAMI 2014. Training lives in ``training.quantize``; what
encodes an item offline is this very code, and it is what encodes it on ingest.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.errors import InvalidCodesError
from models.fingerprint import fingerprints

_BLOCK = 64  # vectors encoded at a time: their distances, B * 64 * K float64, stay in the cache


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A trained product quantiser.

    Args:
        layout: of the codes: D indices below K.
        rotation: float32 [text_dim, B * sub], orthonormal (rows, where B does not divide text_dim).
        centroids: float32 [B, K, sub], B at most D; the last D - B indices of a code have no centroids, but are
            :mod:`fingerprints <models.fingerprint>`.

    Raises:
        InvalidCodesError: if the shapes do not agree or a value is not finite.
    """

    layout: CodeLayout
    rotation: npt.NDArray[np.float32]
    centroids: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        indices, size = self.layout.num_codebooks, self.layout.codebook_size
        shape = self.centroids.shape
        if len(shape) != 3 or not 1 <= shape[0] <= indices or shape[1] != size:
            raise InvalidCodesError(
                f"centroids are {list(shape)}, the layout asks for [{indices} or less, {size}, sub]"
            )
        if self.rotation.ndim != 2 or self.rotation.shape[1] != shape[0] * shape[2]:
            raise InvalidCodesError(
                f"rotation {list(self.rotation.shape)} does not lead to centroids {list(self.centroids.shape)}"
            )
        if not (np.isfinite(self.rotation).all() and np.isfinite(self.centroids).all()):
            raise InvalidCodesError("the quantiser holds values that are not finite")

    @property
    def text_dim(self) -> int:
        return int(self.rotation.shape[0])

    @property
    def num_fingerprints(self) -> int:
        return self.layout.num_codebooks - len(self.centroids)

    @cached_property
    def sha256(self) -> str:
        """What stored codes are labelled with: codes of another quantiser mean nothing under this one."""
        digest = hashlib.sha256(f"{self.layout.num_codebooks}x{self.layout.codebook_size}:".encode())
        digest.update(np.ascontiguousarray(self.rotation).tobytes())
        digest.update(np.ascontiguousarray(self.centroids).tobytes())
        return digest.hexdigest()

    def encode(self, text_vectors: npt.NDArray[np.float16]) -> Codes:
        """Codes [n, D] of text vectors float16 [n, text_dim].

        Distances are taken in float64, so that the order of a sum, which differs with the size of a batch, does not
        decide between two centroids, and of equal centroids the first one counts: an item gets the same code alone and
        among a million others.

        Raises:
            InvalidCodesError: if the vectors have another shape or are not finite.
        """
        if text_vectors.ndim != 2 or text_vectors.shape[1] != self.text_dim:
            raise InvalidCodesError(f"expected text vectors [n, {self.text_dim}], got {list(text_vectors.shape)}")
        if not np.isfinite(text_vectors).all():
            raise InvalidCodesError("a text vector is not finite")
        codes: Codes = np.empty((len(text_vectors), self.layout.num_codebooks), dtype=self.layout.dtype)
        books = len(self.centroids)
        for start in range(0, len(text_vectors), _BLOCK):
            codes[start : start + _BLOCK, :books] = self._encode_block(text_vectors[start : start + _BLOCK])
        codes[:, books:] = fingerprints(text_vectors, self.num_fingerprints, self.layout.codebook_size)
        return codes

    def _encode_block(self, text_vectors: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
        books, _, sub = self.centroids.shape
        rotated = text_vectors.astype(np.float64) @ self._rotation64  # [n, B * sub]
        parts = rotated.reshape(-1, books, sub).transpose(1, 0, 2)  # [B, n, sub]
        # |x - c|² without |x|², which is the same for every centroid
        distances = self._half_norms[:, None, :] - np.matmul(parts, self._centroids64.transpose(0, 2, 1))  # [B, n, K]
        nearest = distances.argmin(axis=2)  # [B, n]
        return np.take_along_axis(self._first_equal, nearest, axis=1).T  # [n, B]

    def centroids_in_text_space(self) -> npt.NDArray[np.float32]:
        """Each centroid rotated back, times D: float32 [D * K, text_dim], in the order of table rows.

        By the factor D, the mean over the rows of a code is the text vector that the code stands for. Fingerprints
        stand for nothing in text: their rows are zeros.
        """
        books, size, sub = self.centroids.shape
        blocks = self.rotation.T.reshape(books, sub, self.text_dim)
        rows = np.zeros((self.layout.num_rows, self.text_dim), dtype=np.float32)
        parts = np.matmul(self.centroids, blocks)  # [B, K, text_dim]
        rows[: books * size] = self.layout.num_codebooks * parts.reshape(books * size, self.text_dim)
        return rows

    @cached_property
    def _rotation64(self) -> npt.NDArray[np.float64]:
        return self.rotation.astype(np.float64)

    @cached_property
    def _centroids64(self) -> npt.NDArray[np.float64]:
        return self.centroids.astype(np.float64)

    @cached_property
    def _half_norms(self) -> npt.NDArray[np.float64]:
        return np.asarray((self._centroids64**2).sum(axis=2) / 2)  # [B, K]

    @cached_property
    def _first_equal(self) -> npt.NDArray[np.int64]:
        """For each centroid the first of its codebook that equals it: [B, K]. Training can leave several the same."""
        firsts = np.empty(self.centroids.shape[:2], dtype=np.int64)
        for book, centroids in enumerate(self.centroids):
            _, first, place = np.unique(centroids, axis=0, return_index=True, return_inverse=True)
            firsts[book] = first[place.reshape(-1)]
        return firsts
