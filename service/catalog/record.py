"""An item as Redis keeps it."""

from dataclasses import dataclass

import structlog
from pydantic import BaseModel, ConfigDict

from models.manifest import Sha256
from service.catalog.item import AttributeValue
from service.catalog.stream import StreamId

log = structlog.get_logger(__name__)

_TAG_DIGITS = 16


class ItemRecord(BaseModel):
    """What is known of an item besides its text vector and code."""

    # A newer replica on the same Redis may write fields that this one does not know yet.
    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    text_sha256: Sha256
    attributes: dict[str, AttributeValue]
    available: bool

    @property
    def tag(self) -> bytes:
        """Eight bytes that tell whether a stored code was made from this very text."""
        return bytes.fromhex(self.text_sha256[:_TAG_DIGITS])


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A record and the id of the change that wrote it, which is its version."""

    item_id: str
    version: str
    record: ItemRecord

    @classmethod
    def parse(cls, item_id: str, raw: bytes | None) -> "StoredItem | None":
        """Read a value of the items hash. None if there is none, or one that cannot be read.

        A damaged record counts as none, so that one that something else wrote neither keeps a domain from being served
        nor an item from being written anew; it is reported each time it is met.
        """
        if raw is None:
            return None
        try:
            version, _, json = raw.partition(b"\n")
            StreamId.parse(version.decode())
            return cls(item_id, version.decode(), ItemRecord.model_validate_json(json))
        except ValueError as error:  # pydantic's, and those of a version that is none
            log.error("damaged-record", item_id=item_id, error=type(error).__name__)
            return None


def version_of(raw: bytes | None) -> bytes:
    """The version of a value of the items hash, readable or not; empty if there is no value."""
    return raw.partition(b"\n")[0] if raw is not None else b""
