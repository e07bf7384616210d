"""What is wrong with how the service comes to Redis, in words for whoever runs it and of use to nobody else."""

import ssl

from redis.exceptions import AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError

# Not what the parser says, which may hold a part of the password if that has a slash in it.
NO_URL = "REDIS_URL is not a Redis URL: redis://, rediss:// or unix://, / and @ of a password as %2F and %40"

_OTHER_HOST = 62  # X509_V_ERR_HOSTNAME_MISMATCH, whose message names the host


def access_fault(error: BaseException) -> str | None:
    """Why Redis lets the service not in, or the service does not trust it; None where it is something else.

    The words tell nothing of where Redis is, or as whom the service came: anyone may ask for them.
    """
    cause: BaseException | None = error  # redis-py hides what it met behind errors of its own
    while cause is not None:
        if (fault := _fault(cause)) is not None:
            return fault
        cause = cause.__cause__ or cause.__context__
    return None


def _fault(error: BaseException) -> str | None:
    if isinstance(error, NoPermissionError):
        return "the Redis user of REDIS_URL may not do what the service does: give it the rules of docs/security.md"
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return "Redis refuses the user or password of REDIS_URL"
    if isinstance(error, ssl.SSLCertVerificationError):
        why = "it is of another host" if error.verify_code == _OTHER_HOST else error.verify_message
        return f"the certificate of Redis is not accepted: {why}"
    # An end of the connection is an outage, with TLS as without.
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"there is no TLS with Redis: {error.reason or type(error).__name__}"
    return None
