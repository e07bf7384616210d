"""The commands ``vqrec backup`` and ``vqrec restore``."""

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Protocol, TypeVar

import click
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from models.store import ArtifactStore
from service.backup.artifacts import copy_artifact, is_there, named_artifacts
from service.backup.errors import BackupError
from service.backup.restoring import Restore, check_target
from service.backup.verifying import VerifiedBackup, verified_backup
from service.backup.writing import Backup, Progress
from service.redis_faults import NO_URL
from service.redis_server import RedisServerConfig, embedded_redis
from service.settings import Settings, load_settings

T = TypeVar("T")

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SOCKET_PATH_LIMIT = 100  # the kernel allows 107 bytes


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Two options more, from which and the environment the command is given its settings."""

    @click.option("--artifacts", type=_FOLDER, help="Artifact root.  [VQREC_ARTIFACTS, default: artifacts]")
    @click.option("--data-dir", type=_FOLDER, help="Where an embedded Redis is.  [VQREC_DATA_DIR, default: vqrec-data]")
    @wraps(command)
    def with_settings(artifacts: Path | None, data_dir: Path | None, **options: object) -> None:
        command(settings=load_settings(artifacts=artifacts, data_dir=data_dir), **options)

    return with_settings


class _Bar(Protocol):
    """What is asked of click's progress bar."""

    length: int | None
    pos: int

    def update(self, n_steps: int) -> None: ...


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write; it may not be there.")
@click.option("--domain", "domains", multiple=True, help="Only this domain; may be repeated.")
@click.option("--with-artifacts", is_flag=True, help="Also copy what the domains are served with.")
@_with_settings
def backup(out: Path, domains: tuple[str, ...], with_artifacts: bool, settings: Settings) -> None:
    """Back up what Redis keeps, while it is being written to or while the service is stopped."""
    if settings.redis_url is None and not (settings.data_dir / "redis").is_dir():
        raise BackupError(f"there is nothing to back up: no REDIS_URL, and no embedded Redis in {settings.data_dir}")
    with _progress() as on_progress:
        work = Backup(ArtifactStore(settings.artifacts), with_artifacts, _now, on_progress, _say)
        manifest = _with_redis(settings, lambda redis: work.write(redis, out, domains))
    for name, entry in manifest.domains.items():
        _say(f"{name}: {entry.items} items, as of {entry.position}")
    click.echo(out)


@click.command()
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), help="The folder of a backup.")
@click.option("--domain", "domains", multiple=True, help="Only this domain, beside others; may be repeated.")
@click.option("--with-artifacts", is_flag=True, help="Also copy the backup's artifacts into the artifact root.")
@click.option("--dry-run", is_flag=True, help="Verify the backup, look at Redis, and write nothing.")
@_with_settings
def restore(source: Path, domains: tuple[str, ...], with_artifacts: bool, dry_run: bool, settings: Settings) -> None:
    """Restore a backup into an empty Redis, or a domain beside others."""
    found = verified_backup(source)
    names = [name for name in found.manifest.domains if not domains or name in domains]
    _say(
        f"{source} is whole: {', '.join(found.manifest.domains)}, begun at {found.manifest.began:%Y-%m-%d %H:%M:%S %Z}"
    )

    def work(redis: "Redis") -> None:
        check_target(redis, found, domains)
        if with_artifacts and not dry_run:
            _restore_artifacts(found, names, ArtifactStore(settings.artifacts))
        _name_missing(found, names, ArtifactStore(settings.artifacts), with_artifacts=with_artifacts)
        if not dry_run:
            with _progress() as on_progress:
                Restore(lambda: uuid.uuid4().hex, on_progress).write(redis, found, domains)

    _with_redis(settings, work)
    for name in names:
        _say(f"{name}: {found.manifest.domains[name].items} items {'could be ' if dry_run else ''}restored")
    click.echo(source)


def _restore_artifacts(backup: VerifiedBackup, domains: list[str], target: ArtifactStore) -> None:
    if not backup.manifest.artifacts:
        raise BackupError("the backup holds no artifacts: it was made without --with-artifacts")
    for name in domains:
        entry = backup.manifest.domains[name]
        for artifact in named_artifacts(entry.adapter, entry.backbone, entry.text_encoder):
            if artifact.place in backup.manifest.artifacts:
                copy_artifact(artifact, ArtifactStore(backup.artifacts), target)


def _name_missing(backup: VerifiedBackup, domains: list[str], store: ArtifactStore, *, with_artifacts: bool) -> None:
    """Say what the service will not find; it waits for it, as for an adapter that is chosen before it is copied."""
    for name in domains:
        entry = backup.manifest.domains[name]
        for artifact in named_artifacts(entry.adapter, entry.backbone, entry.text_encoder):
            coming = with_artifacts and artifact.place in backup.manifest.artifacts
            if artifact.place is not None and not coming and not is_there(store, artifact):
                _say(f"{name}: {artifact} is not in the artifact root {store.root}; copy it there to be served")


def _with_redis(settings: Settings, work: Callable[["Redis"], T]) -> T:
    """Do something with REDIS_URL, or with the embedded server: the running service's, or else one that is started.

    Raises:
        BackupError: if Redis does not answer.
        ConfigurationError: if the embedded server cannot be had.
    """
    socket = (settings.data_dir / "redis" / "redis.sock").resolve()
    try:
        if settings.redis_url is not None:
            return _connected(settings.redis_url.get_secret_value(), settings, work)
        if _answers(socket):
            return _connected(f"unix://{socket}", settings, work)
        return asyncio.run(_with_embedded(settings, work))
    except (RedisError, ConnectionError) as error:
        raise BackupError(f"Redis does not do its part: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise BackupError(f"{error.filename or 'the disk'}: {error.strerror or error}") from error


def _connected(url: str, settings: Settings, work: Callable[["Redis"], T]) -> T:
    timeout = settings.redis_timeout_seconds
    try:
        redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
            legacy_responses=False,
        )
    except ValueError as error:
        raise BackupError(NO_URL) from error
    with redis:
        return work(redis)


async def _with_embedded(settings: Settings, work: Callable[["Redis"], T]) -> T:
    config = RedisServerConfig(settings.data_dir / "redis", settings.redis_fsync, settings.redis_start_seconds)
    async with embedded_redis(config) as url:
        return await asyncio.to_thread(_connected, url, settings, work)


def _answers(socket: Path) -> bool:
    if len(bytes(socket)) > _SOCKET_PATH_LIMIT:
        return False
    try:
        with Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar for each domain, on standard error, where somebody looks at it."""
    with ExitStack() as stack:
        bars: dict[str, _Bar] = {}

        def on_progress(domain: str, done: int, total: int) -> None:
            if domain not in bars:
                stack.close()
                bars[domain] = stack.enter_context(click.progressbar(length=total, label=domain, file=sys.stderr))
            bars[domain].length = total
            bars[domain].update(done - bars[domain].pos)

        yield on_progress


def _say(line: str) -> None:
    click.echo(line, err=True)


def _now() -> datetime:
    return datetime.now(UTC)
