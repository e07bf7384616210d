"""An artifact on disk: a folder of files and the manifest that vouches for each, verified when read."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError
from models.manifest import AdapterManifest, BackboneManifest, FileEntry, Manifest, TextEncoderManifest

MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 1 << 20
_CHUNK = 1 << 20

AnyManifest = TextEncoderManifest | BackboneManifest | AdapterManifest
M = TypeVar("M", TextEncoderManifest, BackboneManifest, AdapterManifest)

_ANY_MANIFEST: TypeAdapter[AnyManifest] = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Bundle(Generic[M]):
    """A verified artifact. ``sha256`` is its manifest's, and so stands for every byte of it."""

    path: Path
    manifest: M
    sha256: str

    @property
    def version(self) -> str:
        """The short name an artifact goes by: the first twelve digits of its sha256."""
        return self.sha256[:12]

    def read_bytes(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def read_tensors(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """The tensors of a safetensors file.

        Raises:
            InvalidArtifactError: if it is none.
        """
        try:
            return load_safetensors(self.read_bytes(name))
        except (SafetensorError, ValueError, KeyError) as error:
            raise InvalidArtifactError(f"{self.path / name} is not a safetensors file: {error}") from error


def read_bundle(path: Path, manifest_type: type[M], sha256: str | None = None) -> Bundle[M]:
    """Read an artifact and verify every file of it against its manifest.

    Args:
        path: the artifact's folder.
        manifest_type: the kind of artifact that is expected.
        sha256: if given, what the manifest's sha256 must be.

    Raises:
        ArtifactNotFoundError: if there is no such folder.
        InvalidArtifactError: if the manifest or a file is damaged, missing, surplus or a link.
        ArtifactMismatchError: if the sha256 is another, or the artifact of another kind.
    """
    raw = read_manifest_bytes(path)
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise ArtifactMismatchError(f"the artifact {path.name} has the sha256 {found}, not {sha256}")
    manifest = _parse_manifest(path, raw)
    if not isinstance(manifest, manifest_type):
        raise ArtifactMismatchError(f"{path.name} is of the kind {manifest.kind}, not {_kind(manifest_type)}")
    _verify_files(path, manifest)
    return Bundle(path, manifest, found)


def read_manifest_bytes(path: Path) -> bytes:
    """The raw manifest of the artifact at ``path``; errors as :func:`read_bundle`."""
    manifest_path = path / MANIFEST
    if not path.is_dir():
        raise ArtifactNotFoundError(f"there is no artifact at {path}")
    if manifest_path.is_symlink() or not manifest_path.is_file():
        raise InvalidArtifactError(f"{path} has no {MANIFEST}: it is not an artifact")
    if manifest_path.stat().st_size > _MANIFEST_LIMIT:
        raise InvalidArtifactError(f"{manifest_path} is larger than {_MANIFEST_LIMIT} bytes")
    return manifest_path.read_bytes()


def write_bundle(folder: Path, manifest: M, files: Mapping[str, bytes]) -> Bundle[M]:
    """Write an artifact as ``folder/<version>``, renamed into place so that a reader sees all of it or nothing.

    An artifact that is already there with the same bytes is kept.

    Returns:
        The bundle as it lies on disk.
    """
    entries = {
        name: FileEntry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)) for name, data in files.items()
    }
    complete = manifest.model_copy(update={"files": dict(sorted(entries.items()))})
    raw = complete.model_dump_json(indent=2).encode() + b"\n"
    bundle = Bundle(folder / hashlib.sha256(raw).hexdigest()[:12], complete, hashlib.sha256(raw).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as beside:
        whole = Path(beside) / bundle.version
        whole.mkdir()
        for name, data in {**files, MANIFEST: raw}.items():
            _write_synced(whole / name, data)
        _move_into_place(whole, bundle.path)
    return bundle


def copy_bundle(path: Path, folder: Path) -> Path:
    """Copy the artifact at ``path`` into ``folder`` unless it is there already; returns where it lies."""
    target = folder / path.name
    if target.resolve() == path.resolve():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as beside:
        whole = Path(beside) / path.name
        shutil.copytree(path, whole)
        _move_into_place(whole, target)
    return target


def _move_into_place(whole: Path, target: Path) -> None:
    # A folder cannot be renamed onto one that holds files, so what was damaged since it was written makes room first.
    raw = read_manifest_bytes(whole)
    if target.exists():
        if _is_sound(target, raw):
            return
        shutil.rmtree(target)
    try:
        whole.rename(target)
    except OSError:
        if not _is_sound(target, raw):  # else another writer of the same artifact was faster
            raise


def _is_sound(path: Path, raw_manifest: bytes) -> bool:
    try:
        if read_manifest_bytes(path) != raw_manifest:
            return False
        _verify_files(path, _parse_manifest(path, raw_manifest))
    except (InvalidArtifactError, ArtifactNotFoundError):
        return False
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _parse_manifest(path: Path, raw: bytes) -> AnyManifest:
    try:
        return _ANY_MANIFEST.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidArtifactError(f"{path / MANIFEST} cannot be read: {where}: {first['msg']}") from error


def _verify_files(path: Path, manifest: AnyManifest) -> None:
    for name, entry in manifest.files.items():
        _verify_file(path, name, entry)
    surplus = sorted({entry.name for entry in path.iterdir()} - manifest.files.keys() - {MANIFEST})
    if surplus:
        raise InvalidArtifactError(f"{path.name} holds files that its manifest does not name: {', '.join(surplus)}")


def _verify_file(path: Path, name: str, entry: FileEntry) -> None:
    file_path = path / name
    if file_path.is_symlink() or not file_path.is_file():
        raise InvalidArtifactError(f"{path.name} lacks the file {name} that its manifest names")
    if file_path.stat().st_size != entry.bytes:
        raise InvalidArtifactError(
            f"{path.name}/{name} has {file_path.stat().st_size} bytes, its manifest says {entry.bytes}"
        )
    digest = hashlib.sha256()
    with file_path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        raise InvalidArtifactError(f"{path.name}/{name} is damaged: its sha256 is not the manifest's")


def _kind(manifest_type: type[M]) -> str:
    return str(manifest_type.model_fields["kind"].default)
