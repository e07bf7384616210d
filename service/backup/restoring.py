"""Restores a verified backup: written beside the domains' own keys, and renamed onto them in one transaction.

So there is no half-restored state under any name that the service reads. What an interrupted restore leaves are keys of
its own, which Redis deletes by itself an hour later; the command is simply run again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from service.backup.errors import BackupError
from service.backup.format import DomainEntry, ItemLine
from service.backup.verifying import VerifiedBackup
from service.backup.writing import Progress
from service.catalog.keys import CONTROL, DOMAINS, STORE, DomainKeys

_LINES = 500  # in one round trip: about a megabyte
_SECONDS_KEPT = 3600  # what was staged, after the last that was added to it
_START = "0-0"

_Word = bytes | bytearray | memoryview | str | int | float  # redis-py's
_CONTROL_LENGTH = 100


@dataclass(frozen=True, slots=True)
class _Staged:
    """A domain on its way: the keys that it is written to, and those that these become.

    Args:
        token: of this very restore, so that no two write to the same keys.
    """

    domain: str
    entry: DomainEntry
    token: str

    @property
    def names(self) -> dict[str, str]:
        """Staged key ─► the domain's own; those of codes that were dropped while the backup was made are left out."""
        keys = DomainKeys(self.domain)
        own = {"items": keys.items, "vectors": keys.vectors, **{name: keys.codes(name) for name in self.entry.codes}}
        return {self.key(part): name for part, name in own.items()}

    @property
    def own(self) -> tuple[str, ...]:
        """Every key that the domain will have."""
        keys = DomainKeys(self.domain)
        return (*keys.fixed, *map(keys.codes, self.entry.codes))

    def key(self, part: str) -> str:
        return f"vqrec:{{{self.domain}}}:restore:{self.token}:{part}"


@dataclass(frozen=True)
class Restore:
    """How a backup is restored.

    Args:
        new_id: makes ids that come once.
        on_progress: is told of it.
    """

    new_id: Callable[[], str]
    on_progress: Progress

    def write(self, redis: "Redis", backup: VerifiedBackup, domains: Collection[str] = ()) -> None:
        """Restore these domains, or all; afterwards Redis holds all of it, and after an error nothing.

        All of a backup goes into a Redis that holds nothing of the service; single domains also beside others.

        Raises:
            BackupError: if there is something in the way, or the backup lacks a domain.
            redis.RedisError: if Redis does not answer.
        """
        token = self.new_id()
        staged = [_Staged(name, entry, token) for name, entry in _chosen(backup, domains).items()]
        check_target(redis, backup, domains)
        try:
            for place, domain in enumerate(staged):
                self._stage(redis, backup, domain, [key for before in staged[:place] for key in before.names])
            self._commit(redis, backup, staged, whole=not domains)
        except BaseException:
            _drop(redis, staged)
            raise

    def _stage(self, redis: "Redis", backup: VerifiedBackup, staged: _Staged, before: list[str]) -> None:
        """Write a domain beside its place, and keep what was written ``before``, however long this takes."""
        lines, done, dropped = backup.lines(staged.domain), 0, set[str]()
        while batch := list(islice(lines, _LINES)):
            pipe = redis.pipeline(transaction=False)
            keys = _add(pipe, staged, batch)
            for key in (*keys, *before):
                pipe.expire(key, _SECONDS_KEPT)
            pipe.execute()
            dropped |= keys - staged.names.keys()
            done += len(batch)
            self.on_progress(staged.domain, done, staged.entry.lines)
        if dropped:
            redis.unlink(*dropped)
        _check_whole(redis, staged)

    def _commit(self, redis: "Redis", backup: VerifiedBackup, staged: list[_Staged], *, whole: bool) -> None:
        """Everything under its own name at once, unless something came in the way meanwhile."""
        there = [key for domain in staged for key in domain.names if redis.expire(key, _SECONDS_KEPT)]
        pipe = redis.pipeline(transaction=True)
        try:
            watched = (DOMAINS, STORE, *there, *(key for domain in staged for key in domain.own))
            pipe.watch(*watched)  # type: ignore[no-untyped-call]
            _check_free(pipe, staged, whole=whole)
            _check_backbone(pipe, staged)
            for domain in staged:
                _check_whole(pipe, domain)  # again: a clock that is set ahead ends the hour of what was staged
            is_new = pipe.get(STORE) is None  # at once, since the pipeline only watches so far
            pipe.multi()
            for domain in staged:
                _put_in_place(pipe, domain, there)
            if is_new:
                # A Redis with some of the domains is another one to those who have served all of them.
                pipe.set(STORE, (backup.manifest.store if whole else None) or self.new_id())
            pipe.xadd(CONTROL, {"wake": "up"}, maxlen=_CONTROL_LENGTH)
            pipe.execute()
        except WatchError as error:
            raise BackupError("something else wrote to this Redis meanwhile; nothing was restored") from error
        finally:
            pipe.reset()


def check_target(redis: "Redis", backup: VerifiedBackup, domains: Collection[str]) -> None:
    """Look whether a restore would find something in its way.

    Raises:
        BackupError: saying what.
    """
    staged = [_Staged(name, entry, "") for name, entry in _chosen(backup, domains).items()]
    if not domains:
        for raw in cast("Iterator[bytes]", redis.scan_iter(match="vqrec:*", count=1000)):
            name = raw.decode(errors="replace")
            if name in (STORE, DOMAINS) or ("}:" in name and "}:restore:" not in name):
                raise BackupError(
                    f"this Redis is not empty: it holds {name}. A whole backup goes into an empty one; to add a domain "
                    "to those that are there, name it with --domain"
                )
    with redis.pipeline(transaction=True) as pipe:
        pipe.watch(STORE)  # type: ignore[no-untyped-call]  # so that what follows is answered at once
        _check_free(pipe, staged, whole=not domains)
        _check_backbone(pipe, staged)


def _chosen(backup: VerifiedBackup, domains: Collection[str]) -> dict[str, DomainEntry]:
    held = backup.manifest.domains
    if missing := sorted(set(domains) - held.keys()):
        raise BackupError(f"the backup has no domain {missing[0]!r}; it has {', '.join(sorted(held))}")
    return {name: entry for name, entry in held.items() if not domains or name in domains}


def _add(pipe: "Pipeline", staged: _Staged, batch: list[ItemLine]) -> set[str]:
    """Add lines to what is staged; the keys that are written to. Of two lines of one item the later counts."""
    latest = {line.item_id: line for line in batch}
    parts: dict[str, dict[bytes, bytes]] = {"items": {}, "vectors": {}}
    for item_id, line in latest.items():
        if line.value is not None:
            parts["items"][item_id] = line.value
        if line.vector is not None:
            parts["vectors"][item_id] = line.vector
        for quantizer, code in line.codes.items():
            parts.setdefault(quantizer, {})[item_id] = code
    deleted = [item_id for item_id, line in latest.items() if line.value is None]
    if deleted:
        for part in ("items", "vectors", *staged.entry.codes):
            pipe.hdel(staged.key(part), *cast("list[str]", deleted))
    for part, values in parts.items():
        if values:
            pipe.hset(staged.key(part), mapping=cast("Mapping[_Word, _Word]", values))
    return {staged.key(part) for part, values in parts.items() if values}


def _put_in_place(pipe: "Pipeline", staged: _Staged, there: list[str]) -> None:
    keys = DomainKeys(staged.domain)
    for key, name in staged.names.items():
        if key in there:
            pipe.persist(key)
            pipe.rename(key, name)
    position = staged.entry.position
    if position != _START:
        # Whoever reads the stream from before takes this for a gap, and loads the catalogue anew. It also keeps the
        # ids of changes growing, which are the versions of items.
        pipe.xadd(keys.changes, {"op": "put", "id": "", "after": position}, id=position)
    pipe.hset(keys.adapter, mapping=cast("Mapping[_Word, _Word]", staged.entry.adapter))
    pipe.hset(DOMAINS, staged.domain, staged.entry.backbone)


def _check_whole(redis: "Redis", staged: _Staged) -> None:
    for part, expected in (("items", staged.entry.items), ("vectors", staged.entry.vectors)):
        found = redis.hlen(staged.key(part))
        if found != expected:
            raise BackupError(
                f"{staged.domain}: {found} {part} were written, the backup has {expected}; nothing was restored, "
                "run the command again"
            )


def _check_free(pipe: "Pipeline", staged: list[_Staged], *, whole: bool) -> None:
    for domain in staged:
        if pipe.exists(*domain.own) or pipe.hexists(DOMAINS, domain.domain):
            raise BackupError(
                f"the domain {domain.domain!r} is there already; delete it first, if it shall be replaced"
            )
    if whole and pipe.exists(STORE, DOMAINS):
        raise BackupError("this Redis is not empty; a whole backup goes into an empty one")


def _check_backbone(pipe: "Pipeline", staged: list[_Staged]) -> None:
    bound = {raw.decode() for raw in cast("list[bytes]", pipe.hvals(DOMAINS))}
    backbones = bound | {domain.entry.backbone for domain in staged}
    if len(backbones) > 1:
        named = " and ".join(sorted(backbone[:12] for backbone in backbones))
        raise BackupError(f"all domains of a Redis share one backbone, and these would have {named}")


def _drop(redis: "Redis", staged: list[_Staged]) -> None:
    try:
        for domain in staged:
            keys = list(redis.scan_iter(match=domain.key("*"), count=1000))
            if keys:
                redis.unlink(*keys)
    except (RedisError, OSError):
        return  # Redis is away, and will delete them itself
