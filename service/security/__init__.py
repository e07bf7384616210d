"""Who may do what: API keys, the scopes, domains and rates that they have, and the dependency that asks for them."""

from service.security.access import Access, Caller
from service.security.authorization import (
    RequiredScope,
    authorize,
    caller_of,
    charge,
    let_in,
    presented_key,
    require_scope,
    the_caller,
)
from service.security.entries import parse_keys
from service.security.headers import EVERY_ANSWER
from service.security.keys import ApiKeys

__all__ = [
    "EVERY_ANSWER",
    "Access",
    "ApiKeys",
    "Caller",
    "RequiredScope",
    "authorize",
    "caller_of",
    "charge",
    "let_in",
    "parse_keys",
    "presented_key",
    "require_scope",
    "the_caller",
]
