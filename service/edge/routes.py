"""What a request asks for, told by its path before anything else of it is read."""

from typing import Literal, NamedTuple

from service.middleware import API_PREFIX

Kind = Literal["health", "recommend", "batch", "other"]

_HEALTH = frozenset({b"/livez", b"/readyz", b"/metrics"})
_OF_A_DOMAIN = f"{API_PREFIX}/domains/{{domain}}/"
_HEAD = f"{API_PREFIX}/domains/".encode()
_ITEM, _SIMILAR = b"items/", b"/similar"


class Target(NamedTuple):
    """What a request asks for.

    Args:
        kind: what it is admitted as.
        route: the template of its path, for metrics; empty for what is asked seldom.
        domain: as the path writes it; empty where it names none.
    """

    kind: Kind
    route: str = ""
    domain: str = ""


_IS_HEALTH, _OTHER = Target("health"), Target("other")
_BY_REST: dict[bytes, tuple[Kind, str]] = {
    b"recommendations": ("recommend", f"{_OF_A_DOMAIN}recommendations"),
    b"recommendations:batch": ("batch", f"{_OF_A_DOMAIN}recommendations:batch"),
    b"items:bulk": ("other", f"{_OF_A_DOMAIN}items:bulk"),
}
_OF_SIMILAR: tuple[Kind, str] = ("recommend", f"{_OF_A_DOMAIN}items/{{item_id:path}}/similar")
_OF_AN_ITEM: tuple[Kind, str] = ("other", f"{_OF_A_DOMAIN}items/{{item_id:path}}")
_UNKNOWN: tuple[Kind, str] = ("other", "")


def target_of(method: bytes, url: bytes) -> Target:
    """The target of a request line. It decides no rights: whoever writes a path otherwise is in another lane."""
    path = url.partition(b"?")[0]
    if path in _HEALTH:
        return _IS_HEALTH
    if not path.startswith(_HEAD):
        return _OTHER
    domain, _, rest = path[len(_HEAD) :].partition(b"/")
    found = _BY_REST.get(rest)
    if found is None:
        found = _of_an_item(method, rest[len(_ITEM) :]) if rest.startswith(_ITEM) else _UNKNOWN
    return Target(*found, domain.decode("latin-1"))


def _of_an_item(method: bytes, rest: bytes) -> tuple[Kind, str]:
    # An id may end in `/similar`, and what writes such an item must not be taken for a question.
    return _OF_SIMILAR if method == b"GET" and rest.endswith(_SIMILAR) else _OF_AN_ITEM
