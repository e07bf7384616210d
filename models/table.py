"""Codes ─► item vectors: the mean of the table rows that a code addresses (VQ-Rec, arXiv 2210.12316, section 3.1)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.codes import CodeLayout, Codes
from models.errors import InvalidCodesError

_LARGEST = 1e15
_BLOCK = 8192  # items looked up at a time: bounds what is gathered to 8192 * D * width float32


class ItemVectors(Protocol):
    """What an adapter turns an item into. The network reads ``raw``, the index holds ``normalized``."""

    @property
    def width(self) -> int: ...

    def raw(self, codes: Codes) -> npt.NDArray[np.float32]: ...

    def normalized(self, codes: Codes) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class CodeTable:
    """The code-embedding table of a domain.

    Args:
        layout: how a code addresses rows.
        rows: float32 [D * K, width].

    Raises:
        InvalidCodesError: if the rows do not fit the layout, or a value is not finite or absurdly large.
    """

    layout: CodeLayout
    rows: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.rows.shape[0] != self.layout.num_rows:
            raise InvalidCodesError(
                f"the table is {list(self.rows.shape)}, the layout asks for {self.layout.num_rows} rows"
            )
        # NaN compares as False; beyond the bound the square of a norm overflows float32.
        if not (np.abs(self.rows) < _LARGEST).all():
            raise InvalidCodesError(f"the table holds values that are not finite or not below {_LARGEST:g}")

    @property
    def width(self) -> int:
        return int(self.rows.shape[1])

    def raw(self, codes: Codes) -> npt.NDArray[np.float32]:
        """Item vectors as the network reads them: float32 [n, width]."""
        rows = self.layout.rows(codes)  # [n, D]
        vectors = np.empty((len(codes), self.width), dtype=np.float32)
        for start in range(0, len(codes), _BLOCK):
            vectors[start : start + _BLOCK] = self.rows[rows[start : start + _BLOCK]].mean(axis=1)
        return vectors

    def normalized(self, codes: Codes) -> npt.NDArray[np.float32]:
        """Item vectors as the index compares them, of length one: float32 [n, width]."""
        vectors = self.raw(codes)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
