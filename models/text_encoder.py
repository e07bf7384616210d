"""Text ─► vectors: one ONNX graph and its tokenizer, the same offline and on ingest."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from models.bundle import Bundle, read_bundle
from models.errors import InvalidArtifactError
from models.manifest import TextEncoderManifest
from models.onnx_session import open_session

GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"

_TOKENS_PER_BATCH = 4096
_TEXTS_PER_BATCH = 64


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A sentence encoder.

    Texts are batched with others of exactly their own number of tokens and never padded. Padding changes the order in
    which a softmax or a mean is summed, and so the last bit of a vector: without it a text gets the same vector, and
    an item the same code, alone and among a million others.
    """

    bundle: Bundle[TextEncoderManifest]
    session: ort.InferenceSession
    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: Path, threads: int, sha256: str | None = None) -> "TextEncoder":
        """Read, verify and open the artifact at ``path``.

        Raises:
            InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :func:`models.bundle.read_bundle`.
        """
        bundle = read_bundle(path, TextEncoderManifest, sha256)
        try:
            tokenizer = Tokenizer.from_str(bundle.read_bytes(TOKENIZER_FILE).decode())
        except Exception as error:  # tokenizers raises a bare Exception
            raise InvalidArtifactError(f"{path / TOKENIZER_FILE} is not a tokenizer: {error}") from error
        tokenizer.enable_truncation(bundle.manifest.max_tokens)
        tokenizer.no_padding()
        return cls(bundle, open_session(bundle.read_bytes(GRAPH_FILE), threads), tokenizer)

    @property
    def text_dim(self) -> int:
        return self.bundle.manifest.text_dim

    def encode(
        self, texts: Sequence[str], on_progress: Callable[[int], object] | None = None
    ) -> npt.NDArray[np.float16]:
        """Text vectors float16 [n, text_dim], the precision in which they are stored and quantised.

        Args:
            texts: any number, also none.
            on_progress: called with the number of texts done since the last call.
        """
        vectors = np.empty((len(texts), self.text_dim), dtype=np.float16)
        for positions, token_ids in self._batches(texts):
            vectors[positions] = self.session.run(None, {"token_ids": token_ids})[0]
            if on_progress is not None:
                on_progress(len(positions))
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], npt.NDArray[np.int64]]]:
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        by_length: dict[int, list[int]] = defaultdict(list)
        for position, ids in enumerate(tokens):
            by_length[len(ids)].append(position)
        for length, positions in sorted(by_length.items(), reverse=True):
            size = max(1, min(_TEXTS_PER_BATCH, _TOKENS_PER_BATCH // length))
            for start in range(0, len(positions), size):
                batch = positions[start : start + size]
                yield batch, np.array([tokens[position] for position in batch], dtype=np.int64)  # [batch, tokens]
