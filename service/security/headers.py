"""What every answer says to browsers and caches."""

from typing import Final

EVERY_ANSWER: Final = (
    (b"x-content-type-options", b"nosniff"),  # what is JSON is not taken for a script
    (b"cache-control", b"no-store"),  # an answer is for one caller, and right for a moment
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),  # nothing in it is run or framed
    (b"cross-origin-resource-policy", b"same-origin"),  # pages of other sites do not get hold of it
)
"""Names and values, as ASGI has them. What concerns TLS, such as HSTS, is for the proxy that ends it."""
