"""API keys as the service keeps them: their digests, and what each may do."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, partial
from typing import Literal, get_args

from service.security.rate_limit import Rate

Scope = Literal["read", "ingest", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

MIN_LENGTH = 8
LONG_ENOUGH = 32
"""Characters that a key needs to be kept as an unsalted hash: of fewer, all that people think of can be tried."""
MAX_LENGTH = 1024
PREFIX = "vqrec_"  # by which scanners of source code and logs know a key that slipped into them
_RANDOM_BYTES = 32
_SOON = 14 * 24 * 3600.0


@dataclass(frozen=True)
class ApiKey:
    """What a key may do, and its digest, never itself.

    Args:
        name: what logs and metrics call it.
        digest: sha256 of the key.
        scopes: what it may do.
        domains: where; None: everywhere.
        rate: how often; None: as often as the service's default says.
        expires: the last day on which it is valid, in UTC.
        length: of the key, where the key itself was configured and not its hash.
    """

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    domains: frozenset[str] | None = None
    rate: Rate | None = None
    expires: date | None = None
    length: int | None = field(default=None, repr=False)

    @cached_property
    def expires_at(self) -> float:
        """Seconds since 1970 from which on it is no longer valid."""
        if self.expires is None or self.expires == date.max:
            return float("inf")
        return datetime.combine(self.expires + timedelta(days=1), time(), UTC).timestamp()

    def covers(self, domain: str) -> bool:
        """Whether it is for this domain."""
        return self.domains is None or domain in self.domains


@dataclass(frozen=True)
class ApiKeys:
    """Every key that is configured."""

    keys: tuple[ApiKey, ...] = ()
    _secret: bytes = field(default_factory=partial(secrets.token_bytes, 32), repr=False, compare=False)

    def find(self, presented: bytes) -> ApiKey | None:
        """The key that was presented, as the octets of a header; None if it is none of these.

        How long it takes says nothing of the keys: what is looked up is a tag under a secret that this object alone
        knows, so that nobody can tell, let alone choose, with how much of a known tag that of a guess agrees.
        """
        if len(presented) > MAX_LENGTH:
            return None
        key = self._by_tag.get(self._tag(digest_of_header(presented)))
        if key is None or (key.length is None and len(presented) < LONG_ENOUGH):
            return None
        return key

    @cached_property
    def _by_tag(self) -> dict[bytes, ApiKey]:
        return {self._tag(key.digest): key for key in self.keys}

    def _tag(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._secret).digest()


def new_key() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def digest_of_header(presented: bytes) -> bytes:
    """The same of a key as a header brings it, whose octets are Latin-1 if they are not ASCII."""
    return hashlib.sha256(presented if presented.isascii() else presented.decode("latin-1").encode()).digest()


def weakness_of(key: ApiKey, now: float) -> str | None:
    """What is to be said of a key that is valid all the same.

    Args:
        now: seconds since 1970.
    """
    if now >= key.expires_at:
        return f"expired after {key.expires}: take it out, or put a new one in its place (`vqrec key`)"
    if key.expires_at - now < _SOON:
        return f"expires after {key.expires}"
    if key.length is not None and key.length < LONG_ENOUGH:
        return f"has {key.length} characters, which may be guessed: put a new one in its place (`vqrec key`)"
    if key.length is not None:
        return "stands there itself: `vqrec key --from-stdin` makes an entry of its hash"
    return None
