"""Authorisation is a dependency of a router, so a path alone never decides it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from fastapi import Request
from starlette.types import Scope as HttpScope

from service.errors import CrossSiteError
from service.security.access import Access, Caller
from service.security.keys import Scope
from service.security.loopback import is_loopback_authority

_CALLER, _ADMITTED = "caller", "admitted_to"


@dataclass(frozen=True)
class RequiredScope:
    """A dependency that lets a request pass if its key has ``scope``, and is for the domain of the path.

    It may be called more than once for a request, the first time before the body is read, and counts it once. The
    published schema reads it off the routes.
    """

    scope: Scope

    async def __call__(self, request: Request) -> None:
        """Raises what :func:`authorize` raises."""
        authorize(request.scope, self.scope, request.path_params.get("domain"))


def require_scope(scope: Scope) -> RequiredScope:
    """What a router or a route depends on to be open to keys of this scope alone."""
    return RequiredScope(scope)


def authorize(http: HttpScope, needed: Scope, domain: str | None) -> None:
    """Let a request pass, and note who sends it.

    Args:
        domain: that it is about; None: no single one.

    Raises:
        UnauthenticatedError: without a key, with an unknown one, or with one that has expired.
        ForbiddenError: if the key lacks the scope, or is for other domains.
        RateLimitedError: if the key has used up its rate.
        CrossSiteError: if there are no keys, and a web page of another site asks for more than to read.
    """
    state = http["state"]
    if state.get(_ADMITTED) == (needed, domain):
        return
    access = cast(Access, state["app"].access)
    caller = access.caller(presented_key(http["headers"])) if access.asks_for_keys else access.anyone
    state[_CALLER] = caller
    caller.check(needed, domain)
    if caller is access.anyone and needed != "read":
        _check_same_site(http["headers"])
    let_in(http, caller, needed, domain)


def let_in(http: HttpScope, caller: Caller, needed: Scope, domain: str | None) -> None:
    """Count a request of a caller that was checked, and note that :func:`authorize` need not ask again for the same."""
    state = http["state"]
    caller.spend()
    state[_CALLER], state[_ADMITTED] = caller, (needed, domain)


def caller_of(http: HttpScope) -> Caller | None:
    """Who sends a request, if that was asked and is known."""
    return cast(Caller | None, http["state"].get(_CALLER))


async def the_caller(request: Request) -> Caller:
    """A dependency of an endpoint behind :func:`require_scope`: who sends the request."""
    return cast(Caller, request.scope["state"][_CALLER])


def charge(request: Request, requests: int) -> None:
    """Count a request as so many, since it holds them; what it is worth beyond the one that was let in is owed."""
    caller = caller_of(request.scope)
    if caller is not None:
        caller.owe(requests - 1)


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key of a request: ``X-API-Key``, or else ``Authorization: Bearer``."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key" and value:
            return value
        if name == b"authorization" and bearer is None:
            kind, _, token = value.partition(b" ")
            if kind.lower() == b"bearer":
                bearer = token.strip()
    return bearer or None


def _check_same_site(headers: Iterable[tuple[bytes, bytes]]) -> None:
    # A browser on this machine reaches a loopback service for every page that it shows, and tells on those.
    told = dict(reversed(list(headers)))  # of a header that comes twice, the first
    origin, host, site = told.get(b"origin"), told.get(b"host", b""), told.get(b"sec-fetch-site", b"none")
    other_host = origin is not None and origin.partition(b"://")[2].lower() != host.lower()
    # A page whose own name was made to point to this machine is of the same site; its name tells.
    rebound = (origin is not None or site != b"none") and not is_loopback_authority(host.decode("latin-1"))
    if other_host or rebound or site in (b"cross-site", b"same-site"):
        raise CrossSiteError("a web page of another site sent this; without API keys only reading is open to those")
