"""Domains in Redis, written by the service's own scripts, and what is compared of them."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from models.store import ArtifactStore
from service.backup.format import BackupManifest
from service.backup.verifying import VerifiedBackup, verified_backup
from service.backup.writing import Backup
from service.catalog.keys import DOMAINS, STORE, DomainKeys
from service.catalog.scripts import DELETE_ITEM, ENLIST_DOMAIN, PUT_ITEM, SET_ADAPTER

BACKBONE = "b" * 64
QUANTIZER = "c" * 64
ADAPTER = "a" * 64
Content = dict[bytes, Any]


def connect(url: str) -> "Redis":
    """A client as the commands use it."""
    return Redis.from_url(url, protocol=3, legacy_responses=False)


class Shop:
    """A domain, without a service."""

    def __init__(self, redis: "Redis", domain: str = "shop", backbone: str = BACKBONE) -> None:
        self.keys = DomainKeys(domain)
        self._redis, self._domain = redis, domain
        self._put, self._delete = redis.register_script(PUT_ITEM), redis.register_script(DELETE_ITEM)
        redis.register_script(ENLIST_DOMAIN)([DOMAINS, STORE], [domain, backbone, "", f"store of {domain}"])
        self.choose(ADAPTER, revision="")

    def choose(self, sha256: str, revision: str) -> None:
        arguments = [revision, f"incarnation of {self._domain}", f"adapters/{self._domain}/{sha256[:12]}", sha256, "op"]
        self._redis.register_script(SET_ADAPTER)([self.keys.adapter], arguments)

    def put(self, item_id: str | bytes, text: str = "text", length: int = 1000) -> str:
        """Store an item, whatever is stored; the id of its change."""
        stored = self._redis.hget(self.keys.items, item_id)
        replaced = stored.partition(b"\n")[0] if stored else b""
        record = f'{{"text":"{text}"}}'
        vector = hashlib.sha256(text.encode()).digest()
        status, change = self._put(self._all(), [item_id, replaced, record, vector, vector[:12], str(length)])
        assert status == b"stored"
        return change.decode()

    def fill(self, count: int, length: int = 1000) -> None:
        """Store new items, whose ids are numbers, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for number in range(count):
            text = f"text {number}"
            vector = hashlib.sha256(text.encode()).digest()
            arguments = [number, "", f'{{"text":"{text}"}}', vector, vector[:12], str(length)]
            pipe.evalsha(
                self._redis.script_load(PUT_ITEM) if not number else self._put.sha, 5, *self._all(), *arguments
            )
        pipe.execute()

    def delete(self, item_id: str | bytes) -> str:
        status, change = self._delete(self._all(), [item_id, "1000"])
        assert status == b"stored"
        return change.decode()

    def remove(self) -> None:
        """Delete the domain."""
        self._redis.hdel(DOMAINS, self._domain)
        self._redis.unlink(*self._all())

    def _all(self) -> list[str]:
        keys = self.keys
        return [keys.items, keys.vectors, keys.codes(QUANTIZER), keys.changes, keys.adapter]


def content(redis: "Redis") -> Content:
    """All that a backup keeps, by key: of a stream its last id, and not what wakes replicas."""
    found: Content = {}
    for key in redis.keys("*"):
        match redis.type(key):
            case b"hash":
                found[key] = redis.hgetall(key)
            case b"stream":
                found[key] = redis.xrevrange(key, count=1)[0][0]
            case _:
                found[key] = redis.get(key)
    found.pop(b"vqrec:control", None)
    return found


def back_up(redis: "Redis", out: Path, *domains: str, root: Path = Path("nowhere")) -> BackupManifest:
    return backup_into(root).write(redis, out, domains)


def backed_up(redis: "Redis", out: Path, *domains: str) -> VerifiedBackup:
    """A backup that was just made."""
    back_up(redis, out, *domains)
    return verified_backup(out)


def backup_into(root: Path, *, with_artifacts: bool = False, notices: list[str] | None = None) -> Backup:
    noted = notices if notices is not None else []
    return Backup(ArtifactStore(root), with_artifacts, lambda: datetime.now(UTC), lambda *_: None, noted.append)
