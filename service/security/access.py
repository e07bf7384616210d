"""Who may do what, now: the keys that are valid, and what each has left of its rate."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from service.errors import ForbiddenError, RateLimitedError, UnauthenticatedError
from service.metrics import Metrics
from service.security.keys import ApiKey, ApiKeys, Scope
from service.security.rate_limit import Clock, Rate, TokenBucket

log = structlog.get_logger("service.security")

_OUTCOMES: Final = ("accepted", "forbidden", "limited", "expired")


class Caller:
    """Who sends requests, and what it may do: everything, if the service asks for no keys."""

    name: str | None = None
    """What logs call it."""

    def covers(self, domain: str) -> bool:  # noqa: ARG002 - of those that may not do everything
        """Whether it may know of this domain."""
        return True

    def check(self, needed: Scope, domain: str | None) -> None:
        """See whether one request may come in.

        Args:
            domain: that it is about; None: no single one.

        Raises:
            UnauthenticatedError: if the key has expired.
            ForbiddenError: if it lacks the scope, or is for other domains.
            RateLimitedError: if it has used up its rate.
        """

    def spend(self) -> None:
        """Count a request that comes in, right after it was checked."""

    def owe(self, requests: int) -> None:
        """Spend more than the one request that was let in."""


class KeyHolder(Caller):
    """Who sends requests with one key.

    Args:
        key: its key.
        bucket: what is left of its rate; None: there is no limit.
        counted: its requests, by outcome.
        now: seconds since 1970.
    """

    def __init__(
        self, key: ApiKey, bucket: TokenBucket | None, counted: dict[str, Counter], now: Callable[[], float]
    ) -> None:
        self.key, self.bucket, self.name = key, bucket, key.name
        self._counted, self._now = counted, now

    def covers(self, domain: str) -> bool:
        return self.key.covers(domain)

    def check(self, needed: Scope, domain: str | None) -> None:
        key, bucket = self.key, self.bucket
        if key.expires is not None and self._now() >= key.expires_at:
            self._counted["expired"].inc()
            raise UnauthenticatedError("the API key has expired")
        if needed not in key.scopes:
            self._counted["forbidden"].inc()
            raise ForbiddenError(f"this API key lacks the scope {needed!r}")
        if domain is not None and not key.covers(domain):
            self._counted["forbidden"].inc()
            raise ForbiddenError("this API key is for other domains")
        if bucket is not None and (wait := bucket.wait()):
            self._counted["limited"].inc()
            rate = f"{bucket.rate.per_second:g} requests a second"
            raise RateLimitedError(f"this API key may send {rate}, and has used up what it may", math.ceil(wait))

    def spend(self) -> None:
        if self.bucket is not None:
            self.bucket.owe(1)
        self._counted["accepted"].inc()

    def owe(self, requests: int) -> None:
        if self.bucket is not None:
            self.bucket.owe(requests)


class Access:
    """The callers by key. Keys are exchanged while the service runs; whether any are asked for never changes.

    Args:
        keys: with none, whoever reaches the service may do everything, for as long as it runs.
        default_rate: of keys that have none of their own; None: no limit.
        now: seconds since 1970.
        clock: seconds for rates.
    """

    def __init__(
        self, keys: ApiKeys, default_rate: Rate | None, metrics: Metrics, now: Callable[[], float], clock: Clock
    ) -> None:
        self.asks_for_keys: Final = bool(keys.keys)
        self.fault: str | None = None
        """Why the keys that are configured now are not those that are valid."""
        self.anyone: Final = Caller()
        self._default_rate, self._metrics = default_rate, metrics
        self._now, self._clock = now, clock
        self._keys = ApiKeys()
        self._holders: dict[str, KeyHolder] = {}
        self._take(keys)

    def replace(self, keys: ApiKeys) -> None:
        """Let these be the valid keys from now on. A key that stays keeps what it has left of its rate.

        Raises:
            ValueError: if there are none, since that would not open the service, but close it for good.
        """
        if not keys.keys:
            raise ValueError("no keys are left")
        self.fault = None
        if keys == self._keys:
            return
        before, after = set(self._keys.keys), set(keys.keys)
        log.info("api-keys-changed", valid=len(after), added=_names(after - before), removed=_names(before - after))
        self._take(keys)

    def refuse(self, fault: str) -> None:
        """Note that the keys that are configured now cannot be taken; those before stay valid."""
        if fault != self.fault:
            log.error("api-keys-refused", reason=fault)
        self.fault = fault

    def reasons(self) -> list[str]:
        """What keeps the keys from being in full order."""
        return [f"API keys: {self.fault}; those read before stay valid"] if self.fault else []

    def caller(self, presented: bytes | None) -> Caller:
        """Who presents this key.

        Raises:
            UnauthenticatedError: if there is no key, or it is unknown.
        """
        if presented is None:
            raise UnauthenticatedError("give an API key in X-API-Key or Authorization: Bearer")
        key = self._keys.find(presented)
        if key is None:
            raise UnauthenticatedError("the API key is unknown")
        return self._holders[key.name]

    def _take(self, keys: ApiKeys) -> None:
        before = {holder.key.digest: holder for holder in self._holders.values()}
        kept = {key.name for key in keys.keys}
        for holder in self._holders.values():
            self._forget(holder.key, name_too=holder.name not in kept)
        self._holders = {key.name: self._holder(key, before.get(key.digest)) for key in keys.keys}
        self._keys = keys

    def _holder(self, key: ApiKey, before: KeyHolder | None) -> KeyHolder:
        rate = key.rate or self._default_rate
        bucket = before.bucket if before is not None else None
        if bucket is None or bucket.rate != rate:
            bucket = TokenBucket(rate, self._clock) if rate is not None else None
        if key.expires is not None:
            self._metrics.key_expires.labels(key.name).set(key.expires_at)
        counted = {outcome: self._metrics.key_requests.labels(key.name, outcome) for outcome in _OUTCOMES}
        return KeyHolder(key, bucket, counted, self._now)

    def _forget(self, key: ApiKey, name_too: bool) -> None:
        """Take back what metrics tell of a key; what counts goes on counting where the name is kept."""
        if key.expires is not None:
            self._metrics.key_expires.remove(key.name)
        if name_too:
            for outcome in _OUTCOMES:
                self._metrics.key_requests.remove(key.name, outcome)


def _names(keys: set[ApiKey]) -> Sequence[str]:
    return sorted(key.name for key in keys)
