"""Redis URLs that the service cannot use are told from those that it can, and no password is repeated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.redis_url import url_fault


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/",
        "REDIS://localhost:6379/15",
        "redis://user:p%2Fa%3Fs%23s%40@[::1]:6379/0",
        "redis://:p@ss:word@redis.example/0",
        "redis://localhost?db=3&client_name=shop",
        "rediss://redis.example:6380/0?ssl_cert_reqs=required&ssl_check_hostname=true",
        "unix:///run/redis%20of%20shop.sock",
        "unix://user:secret@/run/redis.sock?db=2",
    ],
)
def test_what_can_be_used(url: str) -> None:
    assert url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:6379", "must begin with redis://"),
        ("http://localhost:6379", "must begin with redis://"),
        (" redis://localhost", "white space"),
        ("redis://localhost:6379/0\n", "line feed"),
        ("redis-sentinel://a:26379/primary", "Sentinel"),
        ("redis+cluster://a:6379", "Cluster"),
        ("redis://", "no host"),
        ("redis://:hidden@/0", "no host"),
        ("redis://a:6379,b:6379", "several servers"),
        ("redis://[::1:6379", "brackets"),
        ("redis://localhost:six", "port"),
        ("redis://localhost:0", "port"),
        ("redis://localhost:65536", "port"),
        ("redis://localhost/shop", "number of a database"),
        ("redis://localhost/1/2", "number of a database"),
        ("redis://localhost?db=shop", "option db"),
        ("redis://localhost?socket_timeout=0.001", "the service sets all others"),
        ("redis://localhost?decode_responses=true", "the service sets all others"),
        ("redis://localhost?ssl_cert_reqs=none", "need rediss://"),
        ("rediss://localhost?ssl_cert_reqs=maybe", "must be one of none, optional, required"),
        ("rediss://localhost?ssl_ca_certs=/there/is/none.pem", "no file where its option ssl_ca_certs"),
        ("unix://", "names no socket"),
        ("unix://run/redis.sock", "three slashes"),
    ],
)
def test_what_cannot(url: str, told: str) -> None:
    fault = url_fault(url)
    assert fault is not None
    assert told in fault


@pytest.mark.parametrize("mark", ["/", "?", "#"])
def test_a_password_that_is_not_escaped_is_told_and_not_repeated(mark: str) -> None:
    fault = url_fault(f"redis://:hid{mark}den@localhost:6379/0")
    assert fault is not None
    assert "%2F" in fault
    assert "hid" not in fault
    assert "den" not in fault


def test_a_certificate_that_is_there_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    assert url_fault(f"rediss://localhost?ssl_ca_certs={tmp_path / 'ca.pem'}") is None


@given(st.text(max_size=60))
def test_whatever_comes_is_judged_and_not_repeated(text: str) -> None:
    for scheme in ("redis", "rediss", "unix"):
        fault = url_fault(f"{scheme}://:{text}KEPT-SECRET@localhost/0")
        assert fault is None or "KEPT-SECRET" not in fault
