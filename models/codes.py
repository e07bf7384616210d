"""The layout of item codes: the only place that knows how a code maps to the rows of a table."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from models.errors import InvalidCodesError

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CodeLayout:
    """``num_codebooks`` (D) indices, each below ``codebook_size`` (K).

    Index ``k`` of codebook ``d`` addresses table row ``d * K + k``; no row is set aside for padding.

    Raises:
        InvalidCodesError: if a size is out of range.
    """

    num_codebooks: int = 32
    codebook_size: int = 256

    def __post_init__(self) -> None:
        if not 1 <= self.num_codebooks <= 1024:
            raise InvalidCodesError(f"num_codebooks must be 1 to 1024, not {self.num_codebooks}")
        if not 2 <= self.codebook_size <= 65536:
            raise InvalidCodesError(f"codebook_size must be 2 to 65536, not {self.codebook_size}")

    @property
    def num_rows(self) -> int:
        return self.num_codebooks * self.codebook_size

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        return np.dtype(np.uint8) if self.codebook_size <= 256 else np.dtype("<u2")

    @property
    def bytes_per_code(self) -> int:
        return self.num_codebooks * self.dtype.itemsize

    def rows(self, codes: Codes) -> npt.NDArray[np.int32]:
        """Table rows of codes [n, D] as int32 [n, D]."""
        self.check(codes)
        first_rows = np.arange(self.num_codebooks, dtype=np.int32) * self.codebook_size
        return codes.astype(np.int32) + first_rows

    def check(self, codes: Codes) -> None:
        """Raise InvalidCodesError unless ``codes`` is [n, D] of this layout's dtype with every index below K."""
        if codes.ndim != 2 or codes.shape[1] != self.num_codebooks or codes.dtype != self.dtype:
            raise InvalidCodesError(
                f"expected codes [n, {self.num_codebooks}] of {self.dtype}, got {list(codes.shape)} of {codes.dtype}"
            )
        if codes.size and int(codes.max()) >= self.codebook_size:
            raise InvalidCodesError(f"a code index is {int(codes.max())}, but codebooks have {self.codebook_size} rows")

    def to_bytes(self, codes: Codes) -> list[bytes]:
        """Each row of codes [n, D] as ``bytes_per_code`` bytes, little endian."""
        self.check(codes)
        return [code.tobytes() for code in codes]

    def from_bytes(self, raw: list[bytes]) -> Codes:
        """The inverse of :meth:`to_bytes`: codes [n, D].

        Raises:
            InvalidCodesError: if an entry has another length or an index out of range.
        """
        wrong = next((len(code) for code in raw if len(code) != self.bytes_per_code), None)
        if wrong is not None:
            raise InvalidCodesError(f"a stored code has {wrong} bytes, this layout's have {self.bytes_per_code}")
        codes = cast(Codes, np.frombuffer(b"".join(raw), dtype=self.dtype).reshape(-1, self.num_codebooks))
        self.check(codes)
        return codes

    @classmethod
    def fitting(cls, num_items: int, wanted: "CodeLayout | None" = None) -> "CodeLayout":
        """The largest layout, up to ``wanted``, whose centroids a catalogue of ``num_items`` can fill.

        A centroid wants at least ``ITEMS_PER_CENTROID`` training items; with fewer, a codebook tends towards one
        row an item and stops saying anything about items that are new. The size stays a power of two.
        """
        wanted = wanted or cls()
        size = 2
        while size * 2 * ITEMS_PER_CENTROID <= num_items and size * 2 <= wanted.codebook_size:
            size *= 2
        return cls(wanted.num_codebooks, min(size, wanted.codebook_size))


ITEMS_PER_CENTROID = 8
