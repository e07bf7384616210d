"""Which prefixes restrict something, and what may follow one."""

import pytest

from service.catalog.source_urls import UrlPrefix, allowed
from service.errors import ConfigurationError, InvalidSourceError


@pytest.mark.parametrize(
    ("prefix", "fault"),
    [
        ("", "has no scheme"),
        ("artifacts.example/vqrec", "has no scheme"),
        ("HTTPS://artifacts.example", "has no scheme"),
        ("https:artifacts.example", "has no scheme"),
        ("https://", "names no host"),
        ("https:///adapters", "names no host"),
        ("https://:8080/adapters", "names no host"),
        ("https://good.example:port/", "cannot be read"),
        ("https://[::1", "holds ::"),
        ("s3://", "names no host or bucket"),
        ("https://user:secret@good.example/", "holds"),
        ("https://good.example/?list=", "holds"),
        ("https://good.example/#", "holds"),
        ("https://good.example/%2e%2e/", "holds"),
        ("https://good.example\\adapters", "holds"),
        ("https://good.example/a/../b", r"holds \. or \.\."),
        ("simplecache::s3://bucket", "has no scheme"),
        ("s3://bucket::file:///etc", "holds ::"),
        ("file:///", "must name a folder"),
        ("file://", "must name a folder"),
        ("file://elsewhere/srv", "must name a folder"),
        ("file:///srv/..", r"holds \. or \.\."),
    ],
)
def test_a_prefix_that_restricts_nothing_ends_the_start(prefix: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=f"VQREC_ADAPTER_URL_PREFIXES: .*{fault}"):
        UrlPrefix.parse(prefix)


@pytest.mark.parametrize("password", ["hidden", "hid/hidden", "hidden@den"])
def test_a_password_in_a_prefix_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(ConfigurationError, match="one of") as raised:
        UrlPrefix.parse(f"https://user:{password}@artifacts.example/vqrec")
    assert "hidden" not in raised.value.detail
    assert "user" not in raised.value.detail
    assert "artifacts.example" in raised.value.detail


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("https://good.example", "https://good.example/shop/0123456789ab"),
        ("https://good.example/", "https://good.example/shop/0123456789ab/"),
        ("https://good.example:8443/adapters", "https://good.example:8443/adapters/shop/a_b-c.d+e=f~g,h"),
        ("s3://bucket/adapters", "s3://bucket/adapters/shop/0123456789ab"),
    ],
)
def test_a_path_of_plain_names_below_a_prefix_is_allowed(prefix: str, url: str) -> None:
    found = allowed(url, [UrlPrefix.parse("gs://other"), UrlPrefix.parse(prefix)])
    assert found.text == url.rstrip("/")
    assert found.file("manifest.json").text == f"{found.text}/manifest.json"
    assert found.prefix.text + "/" + found.below == found.text


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example/adapters",
        "https://good.example/adapters/",
        "https://good.example/adapters-of-others/x",
        "https://good.example@evil.example/adapters/x",
        "https://good.example/adapters@evil.example/x",
        "https://good.example:secret@evil.example/adapters/x",
        "https://good.example.evil.example/adapters/x",
        "https://good.example./adapters/x",
        "https://good.example:443/adapters/x",
        "https://GOOD.example/adapters/x",
        "HTTPS://good.example/adapters/x",
        "http://good.example/adapters/x",
        "https://good.example\\@evil.example/adapters/x",
        "https://good.example/adapters\\..\\x",
        "https://good.example/adapters//evil.example/x",
        "https://good.example/adapters/./x",
        "https://good.example/adapters/../x",
        "https://good.example/adapters/x/..",
        "https://good.example/adapters/..;/x",
        "https://good.example/adapters/%2e%2e/x",
        "https://good.example/adapters/%252e%252e/x",
        "https://good.example/adapters/..%2fx",
        "https://good.example/adapters/x%00",
        "https://good.example/adapters/x?y=https://evil.example",
        "https://good.example/adapters/x#y",
        "https://good.example/adapters/.git/x",
        "https://good.example/adapters/x\n",
        "https://good.example/adapters/x\r\nHost: evil.example",
        "https://good.example/adapters/\u2024\u2024/x",
        "https://good.example/adapters/x::https://evil.example/y",
        "simplecache::https://good.example/adapters/x",
        " https://good.example/adapters/x",
        "//good.example/adapters/x",
    ],
)
def test_what_one_reader_takes_for_a_name_and_another_for_more_is_refused(url: str) -> None:
    with pytest.raises(InvalidSourceError, match="VQREC_ADAPTER_URL_PREFIXES"):
        allowed(url, [UrlPrefix.parse("https://good.example/adapters")])
