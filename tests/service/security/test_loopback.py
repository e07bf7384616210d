"""What only this machine reaches."""

import pytest

from service.security.loopback import is_loopback, is_loopback_authority


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("me", False)],  # noqa: S104
)
def test_which_addresses_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("LOCALHOST", True),
        ("localhost.example:8000", False),
        ("example:127", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_port_changes_nothing(authority: str, expected: bool) -> None:
    assert is_loopback_authority(authority) is expected
