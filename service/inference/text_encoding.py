"""Texts ─► vectors in the service: one thread, and batches across callers."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from models.text_encoder import TextEncoder
from service.inference.batcher import BatcherConfig, MicroBatcher
from service.metrics import Metrics

TextVector = npt.NDArray[np.float16]


class TextEncoding:
    """Encodes texts of concurrent callers together.

    Args:
        encoder: the text encoder; its session says how many threads a batch may use.
        metrics: those of the queue ``text``.
        config: of the queue; ``workers`` must be 1, since there is one thread.
    """

    def __init__(self, encoder: TextEncoder, metrics: Metrics, config: BatcherConfig) -> None:
        self._encoder = encoder
        self._largest_batch = config.largest_batch
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="text")
        self._batcher: MicroBatcher[str, TextVector] = MicroBatcher("text", self._encode, self._pool, metrics, config)

    async def stop(self) -> None:
        """Encode what was accepted, refuse what comes, and end the thread."""
        try:
            await self._batcher.stop()
        finally:
            self._pool.shutdown(wait=False)

    async def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float16]:
        """Text vectors float16 [n, text_dim].

        Many texts are handed in a batch at a time, so that a bulk leaves room for the texts of others between.

        Raises:
            OverloadedError: if the queue is full.
            StoppingError: once :meth:`stop` was called.
        """
        vectors = np.empty((len(texts), self._encoder.text_dim), dtype=np.float16)
        for start in range(0, len(texts), self._largest_batch):
            part = texts[start : start + self._largest_batch]
            vectors[start : start + len(part)] = await self._batcher.submit_all(part)
        return vectors

    def _encode(self, texts: Sequence[str]) -> list[TextVector]:
        return list(self._encoder.encode(texts))
