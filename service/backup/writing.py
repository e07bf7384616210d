"""Makes a backup: written beside its place, and renamed when it is whole and on the disk."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import cast

from redis import Redis

from models.store import ArtifactStore
from service.backup.artifacts import copy_artifact, find_text_encoder, is_there, named_artifacts
from service.backup.errors import BackupError
from service.backup.format import ARTIFACTS, MANIFEST, SUMS, BackupManifest, DomainEntry, items_file
from service.backup.reading import DomainReading
from service.catalog.keys import DOMAINS, STORE, DomainKeys

_GZIP_LEVEL = 1  # vectors hardly shrink, and texts do at any level

Progress = Callable[[str, int, int], None]
"""Is told of a domain, how many lines of it are done, and of how many about."""


@dataclass(frozen=True)
class Backup:
    """How a backup is made.

    Args:
        artifacts: the artifact root that the service reads.
        with_artifacts: copy from there what the domains are served with.
        clock: tells the time, with its zone.
        on_progress: is told of it.
        on_notice: is told what is not in the backup, and why.
    """

    artifacts: ArtifactStore
    with_artifacts: bool
    clock: Callable[[], datetime]
    on_progress: Progress
    on_notice: Callable[[str], None]

    def write(self, redis: "Redis", out: Path, domains: Collection[str] = ()) -> BackupManifest:
        """Back up these domains, or all, as the folder ``out``.

        Raises:
            BackupError: if ``out`` is there, a domain is not, or one is deleted meanwhile.
            VqrecError: if an artifact that is to be copied is not there, or damaged.
            redis.RedisError, OSError: if Redis cannot be read, or the folder not written; then nothing is left of it.
        """
        if out.exists() or out.is_symlink():
            raise BackupError(f"{out} is there already; a backup overwrites nothing")
        began, store = self.clock(), _store(redis)
        names = _domains(redis, domains)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as beside:
            folder = Path(beside) / "backup"
            folder.mkdir(mode=0o700)
            entries = {name: self._write_domain(redis, name, folder / items_file(name), store) for name in names}
            manifest = BackupManifest(
                made_with=version("vqrec"),
                began=began,
                ended=self.clock(),
                store=None if domains else store,
                domains=entries,
                artifacts=self._copy_artifacts(entries, ArtifactStore(folder / ARTIFACTS)),
            )
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            _write_sums(folder)
            _sync(folder)
            folder.rename(out)
        _sync_folder(out.parent)
        return manifest

    def _write_domain(self, redis: "Redis", domain: str, path: Path, store: str | None) -> DomainEntry:
        reading = DomainReading(redis, domain)
        lines, total = 0, reading.count()
        with _compressed(path) as write:
            for page in reading.pages():
                for line in page:
                    write(line.to_json())
                lines += len(page)
                self.on_progress(domain, lines, max(lines, total))
        state = reading.state
        if state is None:
            raise BackupError(f"the domain {domain!r} was not read to its end")
        if store is not None and state.store != store:
            raise BackupError("Redis was emptied or replaced while it was read; nothing was backed up")
        return DomainEntry(
            lines=lines,
            items=state.items,
            vectors=state.vectors,
            codes=state.codes,
            position=state.position,
            adapter=state.adapter,
            backbone=state.backbone,
            text_encoder=find_text_encoder(self.artifacts, state.backbone),
        )

    def _copy_artifacts(self, domains: dict[str, DomainEntry], target: ArtifactStore) -> dict[str, str]:
        copied: dict[str, str] = {}
        for domain, entry in domains.items():
            for artifact in named_artifacts(entry.adapter, entry.backbone, entry.text_encoder):
                if artifact.place is None:
                    self.on_notice(f"{domain}: {artifact} comes from a URL and is not part of the backup")
                elif artifact.rollback_alone and not is_there(self.artifacts, artifact):
                    self.on_notice(
                        f"{domain}: {artifact} is no longer in the artifact root: there is no way back to it"
                    )
                elif self.with_artifacts and artifact.place not in copied:
                    copy_artifact(artifact, self.artifacts, target)
                    copied[artifact.place] = artifact.sha256
        return copied


def _store(redis: "Redis") -> str | None:
    found = cast("bytes | None", redis.get(STORE))
    return found.decode() if found is not None else None


def _domains(redis: "Redis", chosen: Collection[str]) -> list[str]:
    """The domains to back up: those that were asked for, or all that an adapter was chosen for."""
    if chosen:
        return sorted(set(chosen))
    listed = sorted(name.decode() for name in cast("list[bytes]", redis.hkeys(DOMAINS)))
    found = [name for name in listed if redis.exists(DomainKeys(name).adapter)]
    if not found:
        raise BackupError("there is nothing to back up: this Redis holds no domain")
    return found


@contextmanager
def _compressed(path: Path) -> Iterator[Callable[[bytes], object]]:
    with path.open("xb") as file, gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
        yield packed.write


def _write_sums(folder: Path) -> None:
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n")
    (folder / SUMS).write_text("".join(lines))


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
