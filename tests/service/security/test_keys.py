"""Keys as they are kept, and how one is found."""

from datetime import date

import pytest

from service.security.entries import parse_keys
from service.security.keys import LONG_ENOUGH, MAX_LENGTH, PREFIX, ApiKey, ApiKeys, digest_of, new_key, weakness_of

LONG = "k" * LONG_ENOUGH
DAY = 24 * 3600.0


def hashed(key: str, name: str = "one") -> ApiKeys:
    return ApiKeys((ApiKey(name, digest_of(key), frozenset(["read"])),))


@pytest.mark.parametrize("keys", [parse_keys(f"{LONG}:read"), hashed(LONG)])
def test_a_key_is_found_however_it_is_kept(keys: ApiKeys) -> None:
    assert keys.find(LONG.encode()) is keys.keys[0]
    for other in (LONG[:-1], LONG + "k", LONG.upper(), "", digest_of(LONG).hex()):
        assert keys.find(other.encode()) is None


def test_a_short_key_is_never_taken_for_its_hash() -> None:
    short = LONG[:-1]
    assert hashed(short).find(short.encode()) is None
    assert parse_keys(f"{short}:read").find(short.encode()) is not None


def test_nothing_is_made_of_what_is_far_too_long() -> None:
    for length, is_found in ((MAX_LENGTH, True), (MAX_LENGTH + 1, False)):
        assert (hashed("k" * length).find(b"k" * length) is not None) is is_found


def test_what_is_not_ascii_is_read_as_headers_are() -> None:
    keys = parse_keys("schlüssel-über-alles:read")
    assert keys.find("schlüssel-über-alles".encode("latin-1")) is not None
    assert keys.find(b"\xff\xfe\x00" * 20) is None


def test_nothing_shows_a_key_or_how_long_it_is() -> None:
    shown = repr(parse_keys("reader-key:read"))
    assert "reader-key" not in shown
    assert str(digest_of("reader-key")) not in shown
    assert "length" not in shown
    assert "_secret" not in shown


def test_each_set_looks_its_keys_up_by_tags_of_its_own() -> None:
    one, other = hashed(LONG), hashed(LONG)
    assert one == other
    assert one._by_tag.keys() != other._by_tag.keys()


def test_a_new_key_is_long_known_by_its_beginning_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 and ":" not in key for key in keys)


def test_a_key_is_valid_to_the_end_of_its_last_day() -> None:
    key = ApiKey("one", b"", frozenset(), expires=date(1970, 1, 2))
    assert key.expires_at == 2 * DAY
    assert ApiKey("one", b"", frozenset(), expires=date.max).expires_at == float("inf")


@pytest.mark.parametrize(
    ("key", "now", "says"),
    [
        (ApiKey("one", b"", frozenset()), 0.0, None),
        (ApiKey("one", b"", frozenset(), expires=date(1970, 3, 1)), 0.0, None),
        (ApiKey("one", b"", frozenset(), expires=date(1970, 1, 10)), 0.0, "expires after 1970-01-10"),
        (ApiKey("one", b"", frozenset(), expires=date(1970, 1, 10)), 10 * DAY, "expired after 1970-01-10"),
        (ApiKey("one", b"", frozenset(), length=31), 0.0, "31 characters"),
        (ApiKey("one", b"", frozenset(), length=32), 0.0, "stands there itself"),
    ],
)
def test_what_is_weak_about_a_key_is_said(key: ApiKey, now: float, says: str | None) -> None:
    found = weakness_of(key, now)
    assert found is None if says is None else says in (found or "")
