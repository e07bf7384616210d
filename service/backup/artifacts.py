"""The artifacts that domains are served with: found by what Redis names, copied into a backup and out of it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from models.bundle import copy_bundle, read_bundle, read_manifest_bytes
from models.errors import VqrecError
from models.manifest import AdapterManifest, BackboneManifest, TextEncoderManifest
from models.store import BACKBONES, TEXT_ENCODERS, ArtifactStore
from service.backup.errors import BackupError


@dataclass(frozen=True, slots=True)
class NamedArtifact:
    """An artifact as Redis, or another artifact, names it.

    Args:
        place: relative to the artifact root; None: it comes from a URL.
        sha256: of its manifest.
        rollback_alone: whether only a rollback needs it.
    """

    kind: Literal["adapter", "backbone", "text encoder"]
    place: str | None
    sha256: str
    rollback_alone: bool = False

    def __str__(self) -> str:
        what = f"previous {self.kind}" if self.rollback_alone else self.kind
        return f"the {what} {self.sha256[:12]}"


def named_artifacts(adapter: Mapping[str, str], backbone: str, text_encoder: str | None) -> Iterator[NamedArtifact]:
    """What a domain is served with, and the adapter before."""
    yield NamedArtifact("adapter", _place(adapter["source"]), adapter["sha256"])
    if "previous_sha256" in adapter:
        place = _place(adapter["previous_source"])
        yield NamedArtifact("adapter", place, adapter["previous_sha256"], rollback_alone=True)
    yield NamedArtifact("backbone", f"{BACKBONES}/{backbone[:12]}", backbone)
    if text_encoder is not None:
        yield NamedArtifact("text encoder", f"{TEXT_ENCODERS}/{text_encoder[:12]}", text_encoder)


def find_text_encoder(store: ArtifactStore, backbone: str) -> str | None:
    """The sha256 of a backbone's text encoder; None if the backbone is not in the store, or cannot be read."""
    try:
        raw = read_manifest_bytes(store.find(store.backbones, backbone))
        return BackboneManifest.model_validate_json(raw).text_encoder
    except (VqrecError, ValidationError):
        return None


def is_there(store: ArtifactStore, artifact: NamedArtifact) -> bool:
    """Whether the store holds this artifact; its files are not looked at."""
    if artifact.place is None:
        return False
    try:
        raw = read_manifest_bytes(store.resolve(artifact.place))
    except VqrecError:
        return False
    return hashlib.sha256(raw).hexdigest() == artifact.sha256


def copy_artifact(artifact: NamedArtifact, source: ArtifactStore, target: ArtifactStore) -> None:
    """Copy an artifact to the same place of another store, verified; one that is there already is kept.

    Raises:
        BackupError: if another artifact is there.
        VqrecError: if it is not in the source, or damaged.
        OSError: if it cannot be written.
    """
    if artifact.place is None:
        raise BackupError(f"{artifact} comes from a URL, not from the artifact root")
    path = source.resolve(artifact.place)
    _verify(artifact, path)
    into = target.root / artifact.place
    if into.exists() and not is_there(target, artifact):
        raise BackupError(f"{into} is another artifact than {artifact} of the backup: give another artifact root")
    _verify(artifact, copy_bundle(path, into.parent))


def _verify(artifact: NamedArtifact, path: Path) -> None:
    match artifact.kind:
        case "adapter":
            read_bundle(path, AdapterManifest, artifact.sha256)
        case "backbone":
            read_bundle(path, BackboneManifest, artifact.sha256)
        case "text encoder":
            read_bundle(path, TextEncoderManifest, artifact.sha256)


def _place(source: str) -> str | None:
    return None if "://" in source or "::" in source else source
