"""Records in Redis that something else wrote, or a newer service."""

import json

import pytest
import structlog

from service.catalog.record import StoredItem, version_of

RECORD = {"text": "a", "text_sha256": "ca" * 32, "attributes": {"price": 1.5}, "available": True}


def test_a_field_of_a_newer_service_does_no_harm() -> None:
    stored = StoredItem.parse("a", b"1-2\n" + json.dumps({**RECORD, "brand_new": [1]}).encode())
    assert stored is not None
    assert (stored.version, stored.record.model_dump()) == ("1-2", RECORD)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no record",
        b"\xff\n{}",
        b"1-2\n{}",
        b"no-version\n" + json.dumps(RECORD).encode(),
        b"1-2\n" + json.dumps({**RECORD, "text_sha256": "none"}).encode(),
    ],
)
def test_what_cannot_be_read_counts_as_none_and_is_reported(raw: bytes) -> None:
    with structlog.testing.capture_logs() as lines:
        assert StoredItem.parse("a", raw) is None
    assert [(line["event"], line["item_id"]) for line in lines] == [("damaged-record", "a")]
    assert version_of(raw) == raw.split(b"\n")[0]


def test_no_value_is_no_record_and_nothing_to_report() -> None:
    with structlog.testing.capture_logs() as lines:
        assert StoredItem.parse("a", None) is None
    assert lines == []
    assert version_of(None) == b""
