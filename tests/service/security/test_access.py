"""Who may do what, while keys come and go."""

from datetime import date

import pytest
import structlog

from service.errors import ForbiddenError, RateLimitedError, UnauthenticatedError
from service.metrics import Metrics
from service.security import Access
from service.security.entries import parse_keys
from service.security.keys import ApiKey, ApiKeys, digest_of
from service.security.rate_limit import Rate

ONE, TWO = "one-key-that-is-long-enough-for-this", "two-key-that-is-long-enough-for-this"


def key(value: str, name: str, *, rate: Rate | None = None, domains: list[str] | None = None, **more: date) -> ApiKey:
    limits = frozenset(domains) if domains is not None else None
    return ApiKey(name, digest_of(value), frozenset(["read"]), limits, rate, **more)


def access_of(*keys: ApiKey, metrics: Metrics | None = None, default: Rate | None = None, now: float = 0.0) -> Access:
    return Access(ApiKeys(keys), default, metrics or Metrics(), now=lambda: now, clock=lambda: 0.0)


def ask(access: Access, value: str = ONE, domain: str | None = "shop") -> None:
    caller = access.caller(value.encode())
    caller.check("read", domain)
    caller.spend()


def requests_of(metrics: Metrics, name: str, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("vqrec_key_requests_total", {"key": name, "outcome": outcome})


def test_who_has_no_key_or_another_is_nobody() -> None:
    access = access_of(key(ONE, "one"))
    for presented in (None, b"", b"another", TWO.encode()):
        with pytest.raises(UnauthenticatedError):
            access.caller(presented)


def test_a_key_is_for_its_domains_alone() -> None:
    access = access_of(key(ONE, "one", domains=["shop"]))
    ask(access, domain="shop")
    ask(access, domain=None)
    for other in ("other", "Shop", "shop/", "", "sh%6fp"):
        with pytest.raises(ForbiddenError):
            ask(access, domain=other)
    assert [access.caller(ONE.encode()).covers(domain) for domain in ("shop", "other")] == [True, False]


def test_an_expired_key_is_refused() -> None:
    last_day = key(ONE, "one", expires=date(1970, 1, 1))
    ask(access_of(last_day, now=86_399.9))
    with pytest.raises(UnauthenticatedError, match="expired"):
        ask(access_of(last_day, now=86_400.0))


def test_requests_are_counted_by_the_name_of_their_key() -> None:
    metrics = Metrics()
    access = access_of(key(ONE, "one", rate=Rate(1.0, 2.0), domains=["shop"]), metrics=metrics)
    ask(access)
    ask(access)
    with pytest.raises(RateLimitedError):
        ask(access)
    with pytest.raises(ForbiddenError):
        ask(access, domain="other")
    counted = [requests_of(metrics, "one", outcome) for outcome in ("accepted", "limited", "forbidden", "expired")]
    assert counted == [2.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(("rate", "spent", "seconds"), [(1.0, 0, 1), (0.4, 0, 3), (10.0, 0, 1), (10.0, 1000, 101)])
def test_a_refusal_says_when_there_is_room(rate: float, spent: int, seconds: int) -> None:
    access = access_of(key(ONE, "one", rate=Rate(rate, 1.0)))
    ask(access)
    access.caller(ONE.encode()).owe(spent)
    with pytest.raises(RateLimitedError) as raised:
        ask(access)
    assert raised.value.retry_after == seconds


def test_keys_have_buckets_of_their_own_and_the_default_rate_where_they_have_none() -> None:
    access = access_of(key(ONE, "one"), key(TWO, "two", rate=Rate(1.0, 2.0)), default=Rate(1.0, 1.0))
    ask(access, ONE)
    for _ in range(2):
        ask(access, TWO)
    for value in (ONE, TWO):
        with pytest.raises(RateLimitedError):
            ask(access, value)


def test_keys_that_are_exchanged_are_valid_at_once_and_no_longer() -> None:
    metrics = Metrics()
    access = access_of(key(ONE, "one", expires=date(2100, 1, 1)), metrics=metrics)
    ask(access, ONE)
    with structlog.testing.capture_logs() as lines:
        access.replace(ApiKeys((key(TWO, "two"),)))
    ask(access, TWO)
    with pytest.raises(UnauthenticatedError):
        ask(access, ONE)
    assert [(line["event"], line["added"], line["removed"]) for line in lines] == [
        ("api-keys-changed", ["two"], ["one"])
    ]
    assert requests_of(metrics, "one", "accepted") is None
    assert requests_of(metrics, "two", "accepted") == 1.0
    assert metrics.registry.get_sample_value("vqrec_key_expires_timestamp_seconds", {"key": "one"}) is None


def test_a_key_that_stays_keeps_what_it_has_left_and_what_was_counted() -> None:
    metrics, limited = Metrics(), key(ONE, "one", rate=Rate(1.0, 1.0))
    access = access_of(limited, metrics=metrics)
    ask(access)
    access.replace(ApiKeys((limited, key(TWO, "two"))))
    with pytest.raises(RateLimitedError):
        ask(access)
    assert requests_of(metrics, "one", "accepted") == 1.0


def test_another_rate_begins_anew() -> None:
    access = access_of(key(ONE, "one", rate=Rate(1.0, 1.0)))
    ask(access)
    access.replace(ApiKeys((key(ONE, "one", rate=Rate(2.0, 2.0)),)))
    ask(access)


def test_the_last_key_cannot_be_taken_away() -> None:
    access = access_of(key(ONE, "one"))
    with pytest.raises(ValueError, match="no keys"):
        access.replace(ApiKeys())
    ask(access)
    assert access.asks_for_keys


def test_a_fault_is_told_once_in_the_log_and_until_it_is_mended_elsewhere() -> None:
    access = access_of(key(ONE, "one"))
    assert access.reasons() == []
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            access.refuse("line 3 is wrong")
    assert [line["event"] for line in lines] == ["api-keys-refused"]
    assert access.reasons() == ["API keys: line 3 is wrong; those read before stay valid"]
    access.replace(ApiKeys((key(ONE, "one"),)))
    assert access.reasons() == []


def test_without_keys_everybody_may_do_everything_as_often_as_they_like() -> None:
    access = Access(parse_keys(""), Rate(0.001, 1.0), Metrics(), now=lambda: 0.0, clock=lambda: 0.0)
    assert not access.asks_for_keys
    for _ in range(10):
        access.anyone.check("admin", "shop")
        access.anyone.spend()
        access.anyone.owe(1000)
    assert access.anyone.covers("shop")
    assert access.anyone.name is None
