"""Where adapters come from: a path inside the artifact root, or a URL below a configured prefix."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import fsspec
from pydantic import ValidationError

from models.adapter import DomainAdapter
from models.bundle import MANIFEST, copy_bundle, read_bundle, read_manifest_bytes
from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError, VqrecError
from models.manifest import AdapterManifest, BackboneManifest
from models.store import ArtifactStore
from service.errors import InvalidSourceError

_MANIFEST_LIMIT = 1 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class AdapterSources:
    """Reads adapters. Its methods block: call them in a thread.

    Args:
        store: the artifact root.
        cache: the folder that adapters from URLs are kept in.
        url_prefixes: URLs may lie below one of these only.
        download_bytes: an adapter larger than this is not fetched.
        backbone: sha256 of the only backbone that this service may run; None: the one that the domains are for.
    """

    store: ArtifactStore
    cache: Path
    url_prefixes: tuple[str, ...]
    download_bytes: int
    backbone: str | None = None

    def load(self, source: str, sha256: str | None = None) -> DomainAdapter:
        """The verified adapter that ``source`` names.

        Raises:
            InvalidSourceError, ArtifactNotFoundError: if it may not be read from there, or nothing is there.
            InvalidArtifactError, ArtifactMismatchError: if it is damaged or another than ``sha256`` says.
        """
        with self._naming_no_folders_of_ours():
            path = self._fetch(source, sha256) if _is_url(source) else self.store.resolve(source)
            return DomainAdapter.load(path, sha256)

    def canonical(self, source: str) -> str:
        """``source`` as other replicas, whose root may lie elsewhere, can resolve it."""
        if _is_url(source):
            return source
        return self.store.resolve(source).relative_to(self.store.root.resolve()).as_posix()

    def check_models(self, adapter: DomainAdapter) -> None:
        """Check that the backbone and the text encoder that an adapter was made for are here and fit it.

        Raises:
            ArtifactNotFoundError: if one is missing.
            ArtifactMismatchError: if the adapter does not fit them, or this service runs another backbone.
        """
        check_backbone(adapter, self.backbone)
        manifest = adapter.bundle.manifest
        store = ArtifactStore(self.store.root.resolve())
        with self._naming_no_folders_of_ours():
            store.find(store.text_encoders, manifest.text_encoder)
            path = store.find(store.backbones, manifest.backbone)
            raw = read_manifest_bytes(path)
        try:
            backbone = BackboneManifest.model_validate_json(raw)
        except ValidationError as error:
            raise InvalidArtifactError(f"{path.name} is not a backbone") from error
        wanted = (backbone.text_encoder, backbone.text_dim, backbone.width)
        if (manifest.text_encoder, manifest.text_dim, manifest.width) != wanted:
            raise ArtifactMismatchError(
                f"the adapter {adapter.version} has another text encoder or other dimensions than its backbone"
            )

    @contextmanager
    def _naming_no_folders_of_ours(self) -> Iterator[None]:
        """Errors name what lies below the artifact root by its path from there: clients are told of them."""
        try:
            yield
        except VqrecError as error:
            for folder in (self.store.root.resolve(), self.cache.resolve()):
                # Only where a path begins: a caller's source may hold the same text further on, and is told as sent.
                error.detail = re.sub(rf"(?<![^\s'\"(]){re.escape(str(folder))}/", "", error.detail)
            raise

    def _fetch(self, url: str, sha256: str | None) -> Path:
        self._check_allowed(url)
        raw = self._read(f"{url.rstrip('/')}/{MANIFEST}", _MANIFEST_LIMIT)
        found = hashlib.sha256(raw).hexdigest()
        if sha256 is not None and found != sha256:
            raise ArtifactMismatchError(f"the adapter at {url} has the sha256 {found}, not {sha256}")
        try:
            manifest = AdapterManifest.model_validate_json(raw)
        except ValidationError as error:
            raise InvalidArtifactError(f"{url}/{MANIFEST} is not the manifest of an adapter") from error
        if sum(entry.bytes for entry in manifest.files.values()) > self.download_bytes:
            raise InvalidSourceError(f"the adapter at {url} is larger than {self.download_bytes} bytes")
        cache = self.cache.resolve()
        cache.mkdir(parents=True, exist_ok=True)
        try:
            return read_bundle(cache / found[:12], AdapterManifest, found).path
        except (ArtifactNotFoundError, InvalidArtifactError):
            return self._download(url, raw, manifest, cache)

    def _download(self, url: str, raw_manifest: bytes, manifest: AdapterManifest, cache: Path) -> Path:
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as beside:
            folder = Path(beside) / hashlib.sha256(raw_manifest).hexdigest()[:12]
            folder.mkdir()
            (folder / MANIFEST).write_bytes(raw_manifest)
            for name, entry in manifest.files.items():
                (folder / name).write_bytes(self._read(f"{url.rstrip('/')}/{name}", entry.bytes))
            DomainAdapter.load(folder)  # whole, so that nothing stays here that is refused later
            return copy_bundle(folder, cache)

    def _read(self, url: str, limit: int) -> bytes:
        try:
            with fsspec.open(url, "rb") as file:
                raw = _read_up_to(file, limit)
        except Exception as error:  # every protocol raises its own
            raise InvalidSourceError(f"{url} cannot be read: {type(error).__name__}: {error}") from error
        if len(raw) > limit:
            raise InvalidArtifactError(f"{url} is larger than the {limit} bytes that it should have")
        return raw

    def _check_allowed(self, url: str) -> None:
        allowed = any(url.startswith(prefix.rstrip("/") + "/") for prefix in self.url_prefixes)
        if not allowed or "::" in url or ".." in unquote(url).split("/"):
            raise InvalidSourceError("the URL does not lie below one of VQREC_ADAPTER_URL_PREFIXES")


def check_backbone(adapter: DomainAdapter, bound: str | None) -> None:
    """Check that an adapter was made for the backbone that the service is bound to, if it is.

    Raises:
        ArtifactMismatchError: naming both.
    """
    found = adapter.bundle.manifest.backbone
    if bound is not None and found != bound:
        raise ArtifactMismatchError(
            f"the adapter {adapter.version} was made for the backbone {found[:12]}, this service runs {bound[:12]}: "
            f"make one with `vqrec adapt --backbone` and {bound[:12]}, or delete every domain to change the backbone"
        )


def _is_url(source: str) -> bool:
    return "://" in source or "::" in source


def _read_up_to(file: IO[Any], limit: int) -> bytes:
    parts: list[bytes] = []
    while chunk := file.read(min(_CHUNK, limit + 1 - sum(map(len, parts)))):
        parts.append(chunk)
    return b"".join(parts)
