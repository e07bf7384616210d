"""Reads a backup, and believes nothing in it that its sha256s do not vouch for."""

import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from service.backup.errors import BackupError, DamagedBackupError
from service.backup.format import ARTIFACTS, MANIFEST, SUMS, BackupManifest, DomainEntry, ItemLine, items_file

_SUMS_LIMIT = 16 << 20
_LINE_LIMIT = 16 << 20  # of an item with its text, attributes, vector and codes
_CHUNK = 1 << 20
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


@dataclass(frozen=True)
class VerifiedBackup:
    """A backup each byte of which was read once and found to be what was written.

    Args:
        sums: file, relative to the folder ─► sha256.
    """

    folder: Path
    manifest: BackupManifest
    sums: dict[str, str]

    @property
    def artifacts(self) -> Path:
        """The artifact root that it holds, if it holds one."""
        return self.folder / ARTIFACTS

    def lines(self, domain: str) -> Iterator[ItemLine]:
        """The lines of a domain.

        Raises:
            DamagedBackupError: also after the last line, if the file was changed since it was verified.
        """
        name = items_file(domain)
        yield from _read_lines(self.folder / name, self.sums[name], self.manifest.domains[domain])


def verified_backup(folder: Path) -> VerifiedBackup:
    """Read a whole backup: every file against its sha256, every line, every count.

    Raises:
        BackupError: if there is no such folder.
        DamagedBackupError: naming the file, and what is wrong with it.
    """
    if not folder.is_dir():
        raise BackupError(f"there is no backup at {folder}")
    sums = _read_sums(folder)
    for name, sha256 in sums.items():
        with _opened(folder / name) as file:
            if _sha256(file) != sha256:
                raise DamagedBackupError(f"{folder / name} is damaged: its sha256 is not the one in {SUMS}")
    try:
        with _opened(folder / MANIFEST) as file:
            manifest = BackupManifest.model_validate_json(file.read(_SUMS_LIMIT))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise DamagedBackupError(f"{folder / MANIFEST} is not one that we read: {where}: {fault['msg']}") from error
    expected = {MANIFEST, *map(items_file, manifest.domains)}
    unknown = {name for name in sums.keys() ^ expected if not name.startswith(f"{ARTIFACTS}/")}
    if unknown:
        raise DamagedBackupError(f"{folder}: {MANIFEST} and {SUMS} do not agree about {min(unknown)}")
    backup = VerifiedBackup(folder, manifest, sums)
    for domain in manifest.domains:
        for _ in backup.lines(domain):
            pass
    return backup


def _read_sums(folder: Path) -> dict[str, str]:
    """File ─► sha256: every file of the folder but the list itself."""
    try:
        with _opened(folder / SUMS) as file:
            text = file.read(_SUMS_LIMIT).decode()
    except UnicodeDecodeError as error:
        raise DamagedBackupError(f"{folder / SUMS} is no text") from error
    lines = [_SUM_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    sums = {match[2]: match[1] for match in lines if match}
    if not text.endswith("\n") or len(sums) != len(lines) or MANIFEST not in sums:
        raise DamagedBackupError(f"{folder / SUMS} is not a list of files and their sha256")
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if differing := (found - {SUMS}) ^ sums.keys():
        name = min(differing)
        fault = "is missing" if name in sums else f"is not in {SUMS}"
        raise DamagedBackupError(f"{folder / name} {fault}")
    return sums


def _read_lines(path: Path, sha256: str, entry: DomainEntry) -> Iterator[ItemLine]:
    count = 0
    with _opened(path) as file:
        hashing = _Hashing(file)
        try:
            with gzip.GzipFile(fileobj=hashing, mode="rb") as packed:  # type: ignore[call-overload]
                while raw := packed.readline(_LINE_LIMIT):
                    count += 1
                    yield _parse(raw, path, count)
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedBackupError(f"{path} cannot be read: {error}") from error
    if hashing.digest.hexdigest() != sha256:
        raise DamagedBackupError(f"{path} was changed while it was being read")
    if count != entry.lines:
        raise DamagedBackupError(f"{path} has {count} lines, {MANIFEST} says {entry.lines}")


def _parse(raw: bytes, path: Path, number: int) -> ItemLine:
    try:
        if not raw.endswith(b"\n"):
            raise ValueError("it does not end")
        return ItemLine.parse(raw)
    except ValueError as error:
        raise DamagedBackupError(f"line {number} of {path} is no item: {error}") from error


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


class _Hashing:
    """A file that gzip reads, and the sha256 of what it has read."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """An ordinary file: no link, and no pipe whose other end would be waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DamagedBackupError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedBackupError(f"{path} is not an ordinary file")
        yield file
