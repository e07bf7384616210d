"""The models that all domains of a process share: one backbone and its text encoder, opened once and kept."""

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass

from models.backbone import Backbone
from models.bundle import MANIFEST, read_manifest_bytes
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from service.errors import ConfigurationError
from service.inference.batcher import BatcherConfig
from service.inference.recommender import Recommender
from service.inference.text_encoding import EncodingConfig, TextEncoding
from service.metrics import Metrics


@dataclass(frozen=True)
class RuntimeConfig:
    """The limits of each queue, and how many of its batches are computed at the same time, a thread each."""

    network_queue: BatcherConfig
    text_encoding: EncodingConfig


@dataclass(frozen=True)
class InferenceRuntime:
    """A backbone and its text encoder at work."""

    backbone: Backbone
    recommender: Recommender
    text_encoding: TextEncoding

    @property
    def sha256(self) -> str:
        return self.backbone.bundle.sha256


class RuntimeProvider:
    """Opens the models when the first backbone is known, which may be long after the service started."""

    def __init__(self, store: ArtifactStore, pool: Executor, metrics: Metrics, config: RuntimeConfig) -> None:
        self.current: InferenceRuntime | None = None
        self._store, self._pool, self._metrics, self._config = store, pool, metrics, config
        self._lock = asyncio.Lock()

    async def provide(self, backbone_sha256: str) -> InferenceRuntime:
        """The runtime of this backbone; another one, which no domain uses any more, is stopped.

        Raises:
            ArtifactNotFoundError, InvalidArtifactError, ArtifactMismatchError: if a model is not in the store or
                cannot be opened; what runs goes on.
        """
        async with self._lock:
            before = self.current
            if before is not None and before.sha256 == backbone_sha256:
                return before
            backbone, encoder = await asyncio.to_thread(self._open, backbone_sha256)
            recommender = Recommender(backbone.network, self._pool, self._metrics, self._config.network_queue)
            text_encoding = TextEncoding(encoder, self._metrics, self._config.text_encoding)
            await text_encoding.warm_up()
            self.current = InferenceRuntime(backbone, recommender, text_encoding)
            if before is not None:
                await _stop(before)
            return self.current

    async def stop(self) -> None:
        """Answer everything that was accepted, then stop."""
        async with self._lock:
            if self.current is not None:
                await _stop(self.current)

    def _open(self, sha256: str) -> tuple[Backbone, TextEncoder]:
        path = self._store.find(self._store.backbones, sha256)
        backbone = Backbone.load(path, threads=1, sha256=sha256)
        backbone.network.warm_up()
        encoder_sha256 = backbone.bundle.manifest.text_encoder
        encoder_path = self._store.find(self._store.text_encoders, encoder_sha256)
        return backbone, TextEncoder.load(encoder_path, 1, encoder_sha256)


def find_backbone(store: ArtifactStore, name: str) -> str:
    """The sha256 of the backbone that ``name`` means: by a path below the artifact root, or by its first digits.

    Raises:
        ConfigurationError: if there is none, or more than one.
    """
    paths = [store.root / name] if "/" in name else sorted(store.backbones.glob("*"))
    digests = [hashlib.sha256(read_manifest_bytes(path)).hexdigest() for path in paths if (path / MANIFEST).is_file()]
    found = [digest for digest in digests if "/" in name or digest.startswith(name)]
    if len(found) != 1:
        raise ConfigurationError(f"VQREC_BACKBONE is {name!r}, which names {len(found)} backbones in {store.root}")
    return found[0]


async def _stop(runtime: InferenceRuntime) -> None:
    await runtime.recommender.stop()
    await runtime.text_encoding.stop()
