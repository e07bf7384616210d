"""Where adapters come from: a path inside the artifact root, or a URL below a configured prefix."""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import structlog

from models.adapter import DomainAdapter
from models.bundle import MANIFEST, copy_bundle, read_bundle, read_manifest_bytes
from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError, VqrecError
from models.manifest import AdapterManifest, BackboneManifest
from models.manifest_reading import parse_manifest
from models.store import ArtifactStore
from service.catalog.fetching import Deadline, fetch
from service.catalog.source_urls import AllowedUrl, UrlPrefix, allowed, is_url
from service.errors import InvalidSourceError, RetryableError

log = structlog.get_logger(__name__)

_MANIFEST_LIMIT = 1 << 20
_FETCHING = ".fetching-"
_MAKE_ROOM_SECONDS = 30  # somebody has to
_UNUSED_SECONDS = 24 * 3600  # far longer than anything reads an adapter that is not chosen yet


@dataclass(frozen=True)
class AdapterSources:
    """Reads adapters. Its methods block: call them in a thread.

    Raises:
        ConfigurationError: if a prefix restricts nothing or cannot be read.

    Args:
        store: the artifact root.
        cache: the folder that adapters from URLs are kept in.
        url_prefixes: URLs may lie below one of these only.
        download_bytes: an adapter larger than this is not fetched.
        download_seconds: what takes longer to fetch is given up.
        now: seconds since 1970, as the file system has them.
        backbone: sha256 of the only backbone that this service may run; None: the one that the domains are for.
    """

    store: ArtifactStore
    cache: Path
    url_prefixes: tuple[str, ...]
    download_bytes: int
    backbone: str | None = None
    download_seconds: float = 300.0
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        _ = self._prefixes  # read when the service starts, not when the first adapter is asked for

    def load(self, source: str, sha256: str | None = None) -> DomainAdapter:
        """The verified adapter that ``source`` names.

        Raises:
            InvalidSourceError, ArtifactNotFoundError: if it may not be read from there, or nothing is there.
            InvalidArtifactError, ArtifactMismatchError: if it is damaged or another than ``sha256`` says.
        """
        with self._naming_no_folders_of_ours():
            path = self._fetch(source, sha256) if is_url(source) else self._resolve(source)
            adapter = DomainAdapter.load(path, sha256)
            if adapter.bundle.path != path:
                raise InvalidArtifactError(f"the source {source!r} was replaced by a link while it was being read")
            return adapter

    def sweep(self) -> None:
        """Remove what a process that was killed left of the adapters that it was fetching."""
        for folder in self.cache.glob(f"{_FETCHING}*"):
            shutil.rmtree(folder, ignore_errors=True)  # another process that uses the folder may be faster

    def drop_unused(self, kept: Collection[str]) -> None:
        """Remove the adapters that were fetched once, and for a day have been neither read nor among ``kept``.

        So one that is read just now, to be chosen next, stays; and one that is missed after all is fetched again.

        Args:
            kept: the sha256 of what is served, here or by others that use the folder, and of what may be again.
        """
        versions = {sha256[:12] for sha256 in kept}
        for folder in self.cache.glob("[0-9a-f]" * 12):
            if not (folder / MANIFEST).is_file():
                continue  # nothing that was fetched: in a folder that is an artifact root as well, a domain's
            with suppress(FileNotFoundError):  # another process that uses the folder was faster
                if folder.name in versions or self.now() - folder.stat().st_mtime < _UNUSED_SECONDS:
                    continue
                # Away at once, for whoever might come to read it; what is left if this is killed, `sweep` removes.
                with tempfile.TemporaryDirectory(dir=self.cache, prefix=_FETCHING) as aside:
                    folder.rename(Path(aside) / folder.name)
                log.info("adapter-removed", folder=str(folder))

    def canonical(self, source: str) -> str:
        """``source`` as other replicas, whose root may lie elsewhere, can resolve it."""
        if is_url(source):
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
        backbone = parse_manifest(raw, BackboneManifest, f"{path.name}/{MANIFEST}")
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

    def _resolve(self, source: str) -> Path:
        try:
            return self.store.resolve(source)
        except ArtifactNotFoundError as error:
            root = self.store.root.resolve().name
            first, _, rest = source.removeprefix("./").partition("/")
            if first != root or not rest:
                raise
            raise ArtifactNotFoundError(
                f"{error.detail}: the path begins inside that root, which is itself the folder {root!r}; "
                f"leave that out, and give {rest!r}"
            ) from error

    @cached_property
    def _prefixes(self) -> tuple[UrlPrefix, ...]:
        return tuple(map(UrlPrefix.parse, self.url_prefixes))

    def _fetch(self, source: str, sha256: str | None) -> Path:
        url, deadline, cache = allowed(source, self._prefixes), Deadline(self.download_seconds), self.cache.resolve()
        kept = self._kept(cache, sha256) if sha256 is not None else None
        if kept is not None:
            return kept  # also while nothing answers there, e.g. when a replica starts anew
        raw = BytesIO()
        fetch(url.file(MANIFEST), _MANIFEST_LIMIT, deadline, raw)
        found = hashlib.sha256(raw.getvalue()).hexdigest()
        if sha256 is not None and found != sha256:
            raise ArtifactMismatchError(f"the adapter at {url.text} has the sha256 {found}, not {sha256}")
        manifest = parse_manifest(raw.getvalue(), AdapterManifest, f"{url.text}/{MANIFEST}")
        if sum(entry.bytes for entry in manifest.files.values()) > self.download_bytes:
            raise InvalidSourceError(f"the adapter at {url.text} is larger than {self.download_bytes} bytes")
        return self._kept(cache, found) or self._download(url, raw.getvalue(), manifest, cache, deadline)

    def _kept(self, cache: Path, sha256: str) -> Path | None:
        """The copy of an adapter that was fetched before, if it is whole."""
        path = cache / sha256[:12]
        with suppress(OSError):  # there may be none, or one that can only be read
            os.utime(path, (self.now(), self.now()))  # first, since what is not read for long is removed
        try:
            return read_bundle(path, AdapterManifest, sha256).path
        except (ArtifactNotFoundError, ArtifactMismatchError, InvalidArtifactError):
            return None

    def _download(
        self, url: AllowedUrl, raw_manifest: bytes, manifest: AdapterManifest, cache: Path, deadline: Deadline
    ) -> Path:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix=_FETCHING) as beside:
                folder = Path(beside) / hashlib.sha256(raw_manifest).hexdigest()[:12]
                folder.mkdir()
                (folder / MANIFEST).write_bytes(raw_manifest)
                for name, entry in manifest.files.items():
                    with (folder / name).open("wb") as file:
                        fetch(url.file(name), entry.bytes, deadline, file)
                DomainAdapter.load(folder)  # whole, so that nothing stays here that is refused later
                return copy_bundle(folder, cache)
        except OSError as error:  # a full disk, mostly; what was fetched so far is gone again
            reason = error.strerror or "not every file could be copied"
            raise RetryableError(f"the data directory cannot take the adapter: {reason}", _MAKE_ROOM_SECONDS) from error


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
