"""Text ─► vectors: one ONNX graph and its tokenizer, the same offline and on ingest."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from models.bundle import Bundle, read_bundle
from models.errors import InvalidArtifactError, VqrecError
from models.manifest import TextEncoderManifest
from models.onnx_session import open_session
from models.tokenizer_growth import check_growth

GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"

# What a core computes well: fewer tokens leave it waiting for weights, more no longer fit into its cache.
_TOKENS_PER_BATCH = 512
_TEXTS_PER_BATCH = 64

# The fused node sums in another way and takes four times as long as the sum and the normalisation it stands for.
_SLOWER = ("SkipLayerNormFusion",)

_LARGEST_FLOAT16 = 65504
_SOME_TEXT = "Ein Satz, der 12 Wörter hat: hammer 锤子 🔨 a-b_c/d.e"

TextVectors = npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A sentence encoder.

    Texts are batched with others of exactly their own number of tokens and never padded. Padding changes the order in
    which a softmax or a mean is summed, and so the last bit of a vector: without it a text gets the same vector, and
    an item the same code, alone and among a million others.

    A batch is computed by the thread that asks for it, alone: several batches on a thread each are faster than one on
    several, which wait for each other after every node.

    Args:
        threads: batches that :meth:`encode` computes at the same time.
    """

    bundle: Bundle[TextEncoderManifest]
    session: ort.InferenceSession
    tokenizer: Tokenizer
    threads: int

    @classmethod
    def load(cls, path: Path, threads: int, sha256: str | None = None) -> "TextEncoder":
        """Read, verify and open the artifact at ``path``.

        Raises:
            InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :func:`models.bundle.read_bundle`.
        """
        bundle = read_bundle(path, TextEncoderManifest, sha256)
        tokenizer = _open_tokenizer(bundle)
        session = open_session(bundle.read_bytes(GRAPH_FILE), threads=1, without=_SLOWER)
        encoder = cls(bundle, session, tokenizer, threads)
        encoder._try_out()
        return encoder

    def _try_out(self) -> None:
        """Encode the least that shows whether graph and tokenizer go together, and with the manifest."""
        name, manifest = self.bundle.path.name, self.bundle.manifest
        last = max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        longest = [0] * (manifest.max_tokens - 1) + [last]
        for token_ids in (self.tokenize([_SOME_TEXT])[0], longest):
            try:
                found = self.session.run(None, {"token_ids": np.array([token_ids], dtype=np.int64)})[0]
            except Exception as error:  # ONNX Runtime raises a dozen unrelated types
                raise InvalidArtifactError(f"the text encoder {name} cannot be run: {str(error)[:500]}") from error
            # It is kept as float16, in which a large number is none.
            if found.shape != (1, manifest.text_dim) or not (np.abs(found) <= _LARGEST_FLOAT16).all():
                raise InvalidArtifactError(f"the text encoder {name} does not give {manifest.text_dim} finite numbers")

    @property
    def text_dim(self) -> int:
        return self.bundle.manifest.text_dim

    def encode(self, texts: Sequence[str], on_progress: Callable[[int], object] | None = None) -> TextVectors:
        """Text vectors float16 [n, text_dim], the precision in which they are stored and quantised.

        Args:
            texts: any number, also none.
            on_progress: called with the number of texts done since the last call.
        """
        vectors = np.empty((len(texts), self.text_dim), dtype=np.float16)
        tokens = self.tokenize(texts)
        batches = list(_batches(tokens))
        with ThreadPoolExecutor(self.threads) as pool:
            encoded = pool.map(lambda batch: self.encode_tokens([tokens[place] for place in batch]), batches)
            for batch, found in zip(batches, encoded, strict=True):
                vectors[batch] = found
                if on_progress is not None:
                    on_progress(len(batch))
        return vectors

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, at most ``max_tokens``."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def encode_tokens(self, token_ids: Sequence[Sequence[int]]) -> TextVectors:
        """Text vectors float16 [n, text_dim] of texts of one length in one batch, on the calling thread."""
        batch = np.array(token_ids, dtype=np.int64)  # [n, tokens]
        return np.asarray(self.session.run(None, {"token_ids": batch})[0], dtype=np.float16)


def _open_tokenizer(bundle: Bundle[TextEncoderManifest]) -> Tokenizer:
    raw = bundle.read_bytes(TOKENIZER_FILE)
    check_growth(raw)
    try:
        tokenizer = Tokenizer.from_str(raw.decode())
        tokenizer.enable_truncation(bundle.manifest.max_tokens)
        tokenizer.no_padding()
        tokenizer.encode_batch([_SOME_TEXT, ""])
    except BaseException as error:
        # What panics in tokenizers' Rust comes as a BaseException of a type that cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if isinstance(error, VqrecError):
            raise
        fault = f"{bundle.path / TOKENIZER_FILE} is not a tokenizer that works: {str(error)[:500]}"
        raise InvalidArtifactError(fault) from error
    return tokenizer


def batch_size(length: int) -> int:
    """How many texts of ``length`` tokens make a batch, at least one."""
    return max(1, min(_TEXTS_PER_BATCH, _TOKENS_PER_BATCH // max(1, length)))


def _batches(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The places of texts of one length each; the longest first, so that no thread is left with one at the end."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, ids in enumerate(tokens):
        by_length[len(ids)].append(place)
    for length, places in sorted(by_length.items(), reverse=True):
        size = batch_size(length)
        for start in range(0, len(places), size):
            yield places[start : start + size]
