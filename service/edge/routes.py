"""What a request asks for, told by its path before anything else of it is read."""

from functools import lru_cache
from typing import Literal, NamedTuple

from service.middleware import API_PREFIX
from service.security.keys import Scope

Kind = Literal["health", "recommend", "batch", "other"]

_HEALTH = frozenset({b"/livez", b"/readyz", b"/metrics"})
_OF_A_DOMAIN = f"{API_PREFIX}/domains/{{domain}}/"
_HEAD = f"{API_PREFIX}/domains/".encode()
_SHORT = 128  # bytes of a path that is remembered
_ITEM, _SIMILAR = b"items/", b"/similar"


class Target(NamedTuple):
    """What a request asks for.

    Args:
        kind: what it is admitted as.
        route: the template of its path, for metrics; empty for what is asked seldom.
        domain: as the path writes it; empty where it names none.
        needed: the scope that a key needs for it; None where only the application can tell.
    """

    kind: Kind
    route: str = ""
    domain: str = ""
    needed: Scope | None = None


class _Call(NamedTuple):
    """A target without its domain; the scopes are those of its methods."""

    kind: Kind
    route: str
    scopes: dict[bytes, Scope]


_IS_HEALTH, _OTHER = Target("health"), Target("other")
_BY_REST = {
    b"recommendations": _Call("recommend", f"{_OF_A_DOMAIN}recommendations", {b"POST": "read"}),
    b"recommendations:batch": _Call("batch", f"{_OF_A_DOMAIN}recommendations:batch", {b"POST": "read"}),
    b"items:bulk": _Call("other", f"{_OF_A_DOMAIN}items:bulk", {b"POST": "ingest"}),
}
_OF_THE_DOMAIN = _Call("other", "", {b"GET": "read"})
_OF_SIMILAR = _Call("recommend", f"{_OF_A_DOMAIN}items/{{item_id:path}}/similar", {b"GET": "read"})
_OF_AN_ITEM = _Call(
    "other",
    f"{_OF_A_DOMAIN}items/{{item_id:path}}",
    {b"GET": "read", b"PUT": "ingest", b"PATCH": "ingest", b"DELETE": "ingest"},
)
_UNKNOWN = _Call("other", "", {})


def target_of(method: bytes, url: bytes) -> Target:
    """The target of a request line. It gives no rights: whoever writes a path otherwise is asked by the application."""
    path = url.partition(b"?")[0]
    return _target_of(method, path) if len(path) < _SHORT else _new_target_of(method, path)


def _new_target_of(method: bytes, path: bytes) -> Target:
    if path in _HEALTH:
        return _IS_HEALTH
    if not path.startswith(_HEAD):
        return _OTHER
    domain, slash, rest = path[len(_HEAD) :].partition(b"/")
    if not domain:
        return _OTHER
    call = _BY_REST.get(rest) or _call_of(method, slash, rest)
    # A name that is written in another way may be that of any domain.
    needed = call.scopes.get(method) if b"%" not in domain else None
    return Target(call.kind, call.route, domain.decode("latin-1"), needed)


_target_of = lru_cache(maxsize=1024)(_new_target_of)  # most requests ask for the same few


def _call_of(method: bytes, slash: bytes, rest: bytes) -> _Call:
    if not slash:
        return _OF_THE_DOMAIN
    if not rest.startswith(_ITEM):
        return _UNKNOWN
    # An id may end in `/similar`, and what writes such an item must not be taken for a question.
    return _OF_SIMILAR if method == b"GET" and rest[len(_ITEM) :].endswith(_SIMILAR) else _OF_AN_ITEM
