"""API keys and what each may do. Authorisation is a dependency of a router, so a path alone never decides it."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from fastapi import Request

from service.errors import ConfigurationError, CrossSiteError, ForbiddenError, UnauthenticatedError

Scope = Literal["read", "ingest", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_MIN_KEY_LENGTH = 8


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept: its digest, never itself."""

    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class ApiKeys:
    """Every key that is valid now. With none, whoever reaches the service may do everything."""

    keys: tuple[ApiKey, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ApiKeys":
        """Read ``KEY:scope,scope`` entries, separated by white space; ``#`` starts a comment.

        Raises:
            ConfigurationError: if an entry cannot be read. The message never holds a key.
        """
        lines = (line.partition("#")[0] for line in text.splitlines())
        entries = [entry for line in lines for entry in line.split()]
        return cls(tuple(_parse_entry(number, entry) for number, entry in enumerate(entries, start=1)))

    def scopes_of(self, key: str) -> frozenset[Scope] | None:
        """The scopes of ``key``, or None if it is unknown. Takes the same time for every key."""
        digest = _digest(key)
        found: frozenset[Scope] | None = None
        for known in self.keys:
            if hmac.compare_digest(known.digest, digest):
                found = known.scopes
        return found


def require_scope(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets a request pass whose key has ``scope``.

    Raises (from the dependency):
        UnauthenticatedError: without a key or with an unknown one.
        ForbiddenError: if the key lacks the scope.
        CrossSiteError: if there are no keys, and a web page of another site asks for more than to read.
    """

    async def check(request: Request) -> None:
        api_keys = cast(ApiKeys, request.state.app.api_keys)
        if not api_keys.keys:
            if scope != "read":
                _check_same_site(request)
            return
        key = _presented_key(request)
        scopes = api_keys.scopes_of(key) if key else None
        if scopes is None:
            reason = "the API key is unknown" if key else "give an API key in X-API-Key or Authorization: Bearer"
            raise UnauthenticatedError(reason)
        if scope not in scopes:
            raise ForbiddenError(f"this API key lacks the scope {scope!r}")

    return check


def _check_same_site(request: Request) -> None:
    # A browser on this machine reaches a loopback service for every page that it shows, and tells on those.
    origin = request.headers.get("origin")
    other_host = origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower()
    if other_host or request.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
        raise CrossSiteError("a web page of another site sent this; without API keys only reading is open to those")


def _presented_key(request: Request) -> str | None:
    if key := request.headers.get("x-api-key"):
        return key
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _parse_entry(number: int, entry: str) -> ApiKey:
    key, colon, listed = entry.rpartition(":")
    scopes = listed.split(",")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if not colon or unknown:
        raise ConfigurationError(f"API key number {number} is not KEY:scope,scope with scopes of {', '.join(SCOPES)}")
    if len(key) < _MIN_KEY_LENGTH:
        raise ConfigurationError(f"API key number {number} is shorter than {_MIN_KEY_LENGTH} characters")
    return ApiKey(_digest(key), frozenset(cast(list[Scope], scopes)))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
