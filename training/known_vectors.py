"""Text vectors that a service has made already: kept as if they had been encoded here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bundle import read_bundle
from models.errors import ArtifactNotFoundError
from models.manifest import BackboneManifest
from models.store import ArtifactStore
from models.text_encoder import TextEncoder, TextVectors
from training.progress import say
from training.redis_source import ServedCatalogue
from training.starting_point import StartingPoint
from training.text_vectors import encode_texts


def keep_served_vectors(catalogue: ServedCatalogue, start: StartingPoint, store: ArtifactStore) -> int:
    """Put the text vectors of a served catalogue where training looks for them, and say how many those are.

    They are taken only if the text encoder that made them is the one that ``start`` encodes with: the domain is bound
    to that backbone, or to another one in ``store`` with the same text encoder. A vector that is missing or not sound
    is encoded anew. Both happens here, so that nothing is left to encode.

    Returns:
        How many vectors were taken; the rest was encoded.
    """
    known = _sound_vectors(catalogue, start.encoder.text_dim) if _same_encoder(catalogue, start, store) else {}
    encoder = start.encoder
    with_known = EncoderWithKnown(encoder.bundle, encoder.session, encoder.tokenizer, encoder.threads, known)
    encode_texts(catalogue.items.texts, with_known, store.cache)
    say(f"text vectors: {len(known)} of {len(set(catalogue.items.texts))} texts taken from the service")
    return len(known)


@dataclass(frozen=True, eq=False)
class EncoderWithKnown(TextEncoder):
    """A text encoder that some vectors need not be asked of.

    Args:
        known: text ─► its vector, float16 [text_dim].
    """

    known: Mapping[str, npt.NDArray[np.float16]]

    def encode(self, texts: Sequence[str], on_progress: Callable[[int], object] | None = None) -> TextVectors:
        """As :meth:`TextEncoder.encode`."""
        vectors = np.empty((len(texts), self.text_dim), dtype=np.float16)
        unknown = [place for place, text in enumerate(texts) if text not in self.known]
        vectors[unknown] = super().encode([texts[place] for place in unknown], on_progress)
        for place, text in enumerate(texts):
            if text in self.known:
                vectors[place] = self.known[text]
        if on_progress is not None:
            on_progress(len(texts) - len(unknown))
        return vectors


def _same_encoder(catalogue: ServedCatalogue, start: StartingPoint, store: ArtifactStore) -> bool:
    if catalogue.backbone is None or catalogue.backbone == start.backbone.sha256:
        return catalogue.backbone is not None
    try:
        path = store.find(store.backbones, catalogue.backbone)
    except ArtifactNotFoundError:
        return False
    return read_bundle(path, BackboneManifest).manifest.text_encoder == start.backbone.manifest.text_encoder


def _sound_vectors(catalogue: ServedCatalogue, text_dim: int) -> dict[str, npt.NDArray[np.float16]]:
    known: dict[str, npt.NDArray[np.float16]] = {}
    for text, raw in zip(catalogue.items.texts, catalogue.vectors, strict=True):
        if raw is None or len(raw) != 2 * text_dim:
            continue
        vector = np.frombuffer(raw, dtype="<f2")
        if np.isfinite(vector).all():
            known[text] = vector
    return known
