"""An artifact on disk: a folder of files and the manifest that vouches for each, verified when read."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError
from models.manifest import AdapterManifest, BackboneManifest, FileEntry, TextEncoderManifest
from models.manifest_reading import AnyManifest, parse_any_manifest, parse_manifest, refuse_doubles

MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 1 << 20
_FILE_LIMIT = 2 << 30  # an ONNX file can be no larger, and no tensors of ours are
_HEADER_LIMIT = 1 << 20  # of a safetensors file: a network of a thousand tensors needs a tenth
_CHUNK = 1 << 20
_TOLD = 200  # characters of what was found that an error tells
# A folder on the way to a file: searched, not read, where the system tells the two apart.
_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

M = TypeVar("M", TextEncoderManifest, BackboneManifest, AdapterManifest)


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
        """The bytes of a file that the manifest vouches for, verified anew since the file may have changed meanwhile.

        Raises:
            InvalidArtifactError: if the manifest names no such file, or it is no longer what it was.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            raise InvalidArtifactError(f"{self.path.name} lacks the file {name}, which every {self.manifest.kind} has")
        with opened(self.path.resolve() / name, f"{self.path.name} no longer has the file {name}") as file:
            data = file.read(entry.bytes + 1)
        if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise InvalidArtifactError(f"{self.path.name}/{name} was changed while it was being read")
        return data

    def read_tensors(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """The tensors of a safetensors file.

        Raises:
            InvalidArtifactError: if it is none.
        """
        data = self.read_bytes(name)
        try:
            header = int.from_bytes(data[:8], "little")
            if header > _HEADER_LIMIT:
                raise ValueError(f"its header claims {header} bytes")
            tensors = load_safetensors(data)
            refuse_doubles(data[8 : 8 + header])
        except (SafetensorError, ValueError, KeyError) as error:
            told = str(error)[:_TOLD]
            raise InvalidArtifactError(f"{self.path / name} is not a safetensors file we read: {told}") from error
        return tensors


def read_bundle(path: Path, manifest_type: type[M], sha256: str | None = None) -> Bundle[M]:
    """Read an artifact and verify every file of it against its manifest.

    The bundle's path is the folder that was read, links on the way to it resolved: who checked where ``path`` leads
    compares the two, and so notices a link that was put there since.

    Args:
        path: the artifact's folder.
        manifest_type: the kind of artifact that is expected.
        sha256: if given, what the manifest's sha256 must be.

    Raises:
        ArtifactNotFoundError: if there is no such folder.
        InvalidArtifactError: if the manifest or a file is damaged, missing, surplus or a link.
        ArtifactMismatchError: if the sha256 is another, or the artifact of another kind.
    """
    path = _folder(path)
    raw = read_manifest_bytes(path)
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise ArtifactMismatchError(f"the artifact {path.name} has the sha256 {found}, not {sha256}")
    manifest = parse_manifest(raw, manifest_type, str(path / MANIFEST))
    _verify_files(path, manifest)
    return Bundle(path, manifest, found)


def read_manifest_bytes(path: Path) -> bytes:
    """The raw manifest of the artifact at ``path``; errors as :func:`read_bundle`."""
    with opened(_folder(path) / MANIFEST, f"{path} has no {MANIFEST}: it is not an artifact") as file:
        raw = file.read(_MANIFEST_LIMIT + 1)
    if len(raw) > _MANIFEST_LIMIT:
        raise InvalidArtifactError(f"{path / MANIFEST} is larger than {_MANIFEST_LIMIT} bytes")
    return raw


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
        whole.mkdir()
        for file in path.iterdir():
            _copy_synced(file, whole / file.name)
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
        _verify_files(path, parse_any_manifest(raw_manifest, str(path / MANIFEST)))
    except (InvalidArtifactError, ArtifactNotFoundError):
        return False
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy_synced(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, _CHUNK)
        written.flush()
        os.fsync(written.fileno())


def _verify_files(path: Path, manifest: AnyManifest) -> None:
    for name, entry in manifest.files.items():
        _verify_file(path, name, entry)
    try:
        surplus = sorted({entry.name for entry in path.iterdir()} - manifest.files.keys() - {MANIFEST})
    except OSError as error:
        raise InvalidArtifactError(f"the folder {path.name} cannot be read: {error.strerror}") from error
    if surplus:
        named = ", ".join(map(ascii, surplus))[:_TOLD]  # a name on disk need not be text
        raise InvalidArtifactError(f"{path.name} holds files that its manifest does not name: {named}")


def _verify_file(path: Path, name: str, entry: FileEntry) -> None:
    if entry.bytes > _FILE_LIMIT:
        raise InvalidArtifactError(f"{path.name}/{name} may have {_FILE_LIMIT} bytes, its manifest says {entry.bytes}")
    digest, found = hashlib.sha256(), 0
    with opened(path / name, f"{path.name} lacks the file {name} that its manifest names") as file:
        size = os.fstat(file.fileno()).st_size
        if size != entry.bytes:
            raise InvalidArtifactError(f"{path.name}/{name} has {size} bytes, its manifest says {entry.bytes}")
        while found <= entry.bytes and (chunk := file.read(_CHUNK)):
            digest.update(chunk)
            found += len(chunk)
    if digest.hexdigest() != entry.sha256:
        raise InvalidArtifactError(f"{path.name}/{name} is damaged: its sha256 is not the manifest's")


def _folder(path: Path) -> Path:
    """``path`` without links, if it leads to a folder."""
    if not path.is_dir():
        raise ArtifactNotFoundError(f"there is no artifact at {path}")
    return path.resolve()


@contextmanager
def opened(path: Path, otherwise: str) -> Iterator[BinaryIO]:
    """An ordinary file, never a link or behind one, nor a pipe whose other end would be waited for.

    Args:
        path: absolute, with no link in it: one that was put there since it was resolved is not followed.
        otherwise: what the error says if there is no such file.

    Raises:
        InvalidArtifactError: if there is none, or it is something else.
    """
    try:
        descriptor = _open_unlinked(path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InvalidArtifactError(f"{otherwise}, only something that is not an ordinary file")
        with os.fdopen(descriptor, "rb") as file:
            yield file
    except (OSError, ValueError) as error:
        raise InvalidArtifactError(f"{otherwise} ({error})") from error


def _open_unlinked(path: Path) -> int:
    folder = os.open(path.anchor, _WAY)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, _WAY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
