"""Errors that only the service raises; they share the hierarchy of ``models.errors``."""

from collections.abc import Mapping

from models.errors import VqrecError


class RetryableError(VqrecError):
    """An error that goes away by itself; ``retry_after`` (seconds) becomes the Retry-After header."""

    status = 503
    slug = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class OverloadedError(RetryableError):
    """A bounded queue is full."""

    status = 429
    slug = "overloaded"
    title = "Overloaded"


class RateLimitedError(RetryableError):
    """The API key has used up its rate."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"


class StoppingError(RetryableError):
    """The process is shutting down and takes no new work."""

    slug = "stopping"
    title = "Shutting down"


class RedisUnavailableError(RetryableError):
    """Redis does not answer; what was acknowledged is safe, nothing new can be."""

    slug = "redis-unavailable"
    title = "Redis is unavailable"


class RedisForbidsError(RedisUnavailableError):
    """Redis lets the service in, but its user may not do this."""


class DomainLoadingError(RetryableError):
    """The domain exists, but this process does not serve it yet."""

    slug = "domain-loading"
    title = "Domain is loading"


class NotAppliedYetError(RetryableError):
    """A write is stored, but this process does not serve it yet."""

    slug = "not-applied-yet"
    title = "Stored, not yet served"


class WriteConflictError(RetryableError):
    """Others wrote the same item again and again while this write was tried."""

    slug = "write-conflict"
    title = "Too many writers"


class InternalError(VqrecError):
    """Nobody foresaw this; the log tells more under the request id."""


class MalformedJsonError(VqrecError):
    """The body is not JSON; NaN, Infinity and lone surrogates are none."""

    status = 400
    slug = "malformed-json"
    title = "Malformed JSON"


class InvalidRequestError(VqrecError):
    """The request breaks a rule of its schema; ``errors`` says which."""

    status = 422
    slug = "invalid-request"
    title = "Invalid request"


class BadRequestError(VqrecError):
    """The request cannot be read at all."""

    status = 400
    slug = "bad-request"
    title = "Bad request"


class UnauthenticatedError(VqrecError):
    """No API key, an unknown one, or one that has expired."""

    status = 401
    slug = "unauthenticated"
    title = "API key required"


class ForbiddenError(VqrecError):
    """The API key lacks the scope that the call asks for, or is for other domains."""

    status = 403
    slug = "forbidden"
    title = "Forbidden"


class CrossSiteError(VqrecError):
    """A web page of another site sent the request, and no key is asked for that it would not have."""

    status = 403
    slug = "cross-site"
    title = "Request from another site"


class UnknownDomainError(VqrecError):
    """There is no domain of this name."""

    status = 404
    slug = "unknown-domain"
    title = "Unknown domain"


class UnknownItemError(VqrecError):
    """The domain has no item of this id."""

    status = 404
    slug = "unknown-item"
    title = "Unknown item"


class UnknownOperationError(VqrecError):
    """There is no operation of this id; they are kept for a day."""

    status = 404
    slug = "unknown-operation"
    title = "Unknown operation"

    @classmethod
    def of(cls, operation_id: str) -> "UnknownOperationError":
        return cls(f"there is no operation {operation_id!r}; they are kept for a day")


class VersionConflictError(VqrecError):
    """What was to be replaced is not what the caller expected, or has nothing to go back to."""

    status = 409
    slug = "version-conflict"
    title = "Version conflict"


class DamagedChoiceError(VersionConflictError):
    """What Redis holds of a domain's adapter cannot be read, since something else wrote to it.

    Args:
        stored: what that is, by which it is known again when it is replaced; None if it is not even a hash.
    """

    def __init__(self, domain: str, stored: Mapping[bytes, bytes] | None) -> None:
        super().__init__(
            f"what Redis holds of the domain {domain!r} cannot be read, and so not compared with anything: put the "
            "adapter that it shall be served with, without `expected_version`; its items are kept"
        )
        self.stored = stored


class InvalidSourceError(VqrecError):
    """The source of an adapter is neither a path below the artifact root nor an allowed URL, or cannot be read."""

    status = 422
    slug = "invalid-source"
    title = "Invalid source"


class NotAvailableYetError(VqrecError):
    """The interface is fixed, but this part of it has not been built."""

    status = 501
    slug = "not-available-yet"
    title = "Not available yet"


class PayloadTooLargeError(VqrecError):
    """The body has too many bytes, a bulk too many items, or what is asked for too many attributes."""

    status = 413
    slug = "payload-too-large"
    title = "Payload too large"


class SlowClientError(VqrecError):
    """The request did not arrive in the time that a client has for it."""

    status = 408
    slug = "request-timeout"
    title = "Request timeout"


class LongHeadError(VqrecError):
    """The request line and the headers are too long."""

    status = 431
    slug = "head-too-large"
    title = "Request head too large"


class DeadlinePassedError(VqrecError):
    """The answer was not there in the time that the request gave it."""

    status = 504
    slug = "deadline-passed"
    title = "Deadline passed"


class ConfigurationError(VqrecError):
    """The service cannot start as it is configured."""

    slug = "configuration"
    title = "Configuration"


class UnsupportedMediaTypeError(VqrecError):
    """The wrong Content-Type, a charset other than UTF-8, or a Content-Encoding."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"
