"""Text vectors of a catalogue, encoded once: a cache by content, so that an interrupted run resumes where it was."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.item_text import text_sha256
from models.text_encoder import TextEncoder
from training.progress import progress_bar

_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (digest TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
_TEXTS_PER_COMMIT = 1024
_KEYS_PER_QUERY = 500


def encode_texts(texts: Sequence[str], encoder: TextEncoder, cache_folder: Path) -> npt.NDArray[np.float16]:
    """Text vectors float16 [n, text_dim].

    Args:
        texts: as ``models.item_text.compose_text`` makes them.
        encoder: what encodes those that the cache does not hold.
        cache_folder: holds a cache for each encoder; made if it is missing.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    digests = [text_sha256(text) for text in texts]
    with closing(sqlite3.connect(cache_folder / f"text-vectors-{encoder.bundle.version}.sqlite", timeout=60)) as cache:
        cache.execute(_SCHEMA)
        known = _read(cache, digests)
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        known |= _encode_missing(cache, missing, encoder)
    vectors = np.empty((len(texts), encoder.text_dim), dtype=np.float16)
    for row, digest in enumerate(digests):
        vectors[row] = np.frombuffer(known[digest], dtype="<f2")
    return vectors


def _encode_missing(cache: sqlite3.Connection, missing: dict[str, str], encoder: TextEncoder) -> dict[str, bytes]:
    encoded: dict[str, bytes] = {}
    # By length, so that a commit's texts fill their batches.
    digests = sorted(missing, key=lambda digest: len(missing[digest]))
    with progress_bar(len(digests), "encoding texts", unit="text") as bar:
        for start in range(0, len(digests), _TEXTS_PER_COMMIT):
            chunk = digests[start : start + _TEXTS_PER_COMMIT]
            vectors = encoder.encode([missing[digest] for digest in chunk], on_progress=bar.update)
            rows = {digest: vector.astype("<f2").tobytes() for digest, vector in zip(chunk, vectors, strict=True)}
            with cache:
                cache.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows.items())
            encoded |= rows
    return encoded


def _read(cache: sqlite3.Connection, digests: Sequence[str]) -> dict[str, bytes]:
    known: dict[str, bytes] = {}
    for start in range(0, len(digests), _KEYS_PER_QUERY):
        keys = digests[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(keys))
        known.update(cache.execute(f"SELECT digest, vector FROM vectors WHERE digest IN ({marks})", keys))  # noqa: S608 - marks only
    return known
