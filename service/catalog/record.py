"""An item as Redis keeps it."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import VqrecError
from service.catalog.item import AttributeValue

_TAG_DIGITS = 16


class DamagedRecordError(VqrecError):
    """A record in Redis cannot be read: something else wrote to its keys."""

    slug = "damaged-record"
    title = "Damaged record"


class ItemRecord(BaseModel):
    """What is known of an item besides its text vector and code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    text_sha256: str
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
    def parse(cls, item_id: str, raw: bytes) -> "StoredItem":
        """Read a value of the items hash.

        Raises:
            DamagedRecordError: if it is none.
        """
        version, _, json = raw.partition(b"\n")
        try:
            return cls(item_id, version.decode(), ItemRecord.model_validate_json(json))
        except (ValidationError, UnicodeDecodeError) as error:
            raise DamagedRecordError(f"the record of item {item_id!r} in Redis cannot be read") from error
