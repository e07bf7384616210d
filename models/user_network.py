"""Item vectors of a history ─► the user vector: the exported network under ONNX Runtime."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from models.errors import InvalidArtifactError, InvalidCodesError
from models.onnx_session import open_session

_LENGTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)
_BATCH = 64


@dataclass(frozen=True, eq=False)
class UserNetwork:
    """One session serves every domain, since the network takes vectors and never sees an item.

    A history is padded to the next of a few lengths, which its own length alone decides, and runs beside others of the
    same padded length. So its result does not depend on its company, and the session meets few shapes.
    """

    session: ort.InferenceSession
    width: int
    max_history: int

    @classmethod
    def open(cls, graph: bytes, width: int, max_history: int, threads: int) -> "UserNetwork":
        """Open the graph; raises InvalidArtifactError if it cannot be loaded."""
        return cls(open_session(graph, threads), width, max_history)

    def user_vectors(self, histories: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """User vectors of length one: float32 [n, width].

        Args:
            histories: item vectors float32 [time, width], oldest first; the most recent ``max_history`` are used.

        Raises:
            InvalidCodesError: if a history is empty or its vectors have another width.
        """
        users = np.empty((len(histories), self.width), dtype=np.float32)
        for padded, positions in self._by_padded_length(histories).items():
            for start in range(0, len(positions), _BATCH):
                batch = positions[start : start + _BATCH]
                users[batch] = self._run([histories[position][-self.max_history :] for position in batch], padded)
        return users

    def warm_up(self) -> None:
        """Run every padded length once, so that no request pays for a first run.

        Raises:
            InvalidArtifactError: if the network cannot be run at one of them.
        """
        for padded in self._padded_lengths():
            try:
                self._run([np.zeros((padded, self.width), dtype=np.float32)], padded)
            except Exception as error:  # ONNX Runtime raises a dozen unrelated types
                fault = str(error)[:500]
                raise InvalidArtifactError(f"the network cannot be run with {padded} items: {fault}") from error

    def _run(self, histories: list[npt.NDArray[np.float32]], padded: int) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(histories), padded, self.width), dtype=np.float32)
        for row, history in zip(vectors, histories, strict=True):
            row[: len(history)] = history
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        users: npt.NDArray[np.float32] = self.session.run(None, {"vectors": vectors, "lengths": lengths})[0]
        norms = np.linalg.norm(users, axis=1, keepdims=True)
        return np.asarray(users / np.maximum(norms, 1e-12), dtype=np.float32)

    def _by_padded_length(self, histories: Sequence[npt.NDArray[np.float32]]) -> dict[int, list[int]]:
        lengths = self._padded_lengths()
        groups: dict[int, list[int]] = defaultdict(list)
        for position, history in enumerate(histories):
            if history.ndim != 2 or len(history) == 0 or history.shape[1] != self.width:
                raise InvalidCodesError(f"expected a history [time >= 1, {self.width}], got {list(history.shape)}")
            groups[lengths[bisect_left(lengths, min(len(history), self.max_history))]].append(position)
        return groups

    def _padded_lengths(self) -> list[int]:
        return [length for length in _LENGTHS if length < self.max_history] + [self.max_history]
