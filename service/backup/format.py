"""What a backup is on disk: a folder with a manifest, a file of JSON Lines for each domain, and a sha256 of each.

manifest.json       what is in it, as of when: :class:`BackupManifest`
DOMAIN.jsonl.gz     the items of a domain: :class:`ItemLine`, a line each; of two lines of one item the later counts
artifacts/          if asked for, a part of an artifact root: what the domains are served with
SHA256SUMS          every other file, as ``sha256sum --check`` reads it
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.manifest import DomainName, Sha256

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
ARTIFACTS = "artifacts"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED = {"incarnation", "revision", "source", "sha256", "operation"}

StreamPosition = Annotated[str, StringConstraints(pattern=r"^\d{1,20}-\d{1,20}$")]


def items_file(domain: str) -> str:
    """The name of a domain's file."""
    return f"{domain}.jsonl.gz"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DomainEntry(_Strict):
    """A domain as of one instant, told by its place in the change stream.

    Args:
        lines: of its file; more than items where items changed while the backup was made.
        items, vectors: how many there were.
        codes: the quantisers under which there were codes.
        position: the last change.
        adapter: the hash ``vqrec:{domain}:adapter``: what is served, what was before.
        backbone: what the domain is bound to.
        text_encoder: of that backbone; None if its manifest was not at hand.
    """

    lines: int = Field(ge=0)
    items: int = Field(ge=0)
    vectors: int = Field(ge=0)
    codes: tuple[Sha256, ...]
    position: StreamPosition
    adapter: dict[str, str]
    backbone: Sha256
    text_encoder: Sha256 | None

    @model_validator(mode="after")
    def _an_adapter_is_chosen(self) -> Self:
        if missing := sorted(_REQUIRED - self.adapter.keys()):
            raise ValueError(f"the adapter has no {missing[0]}")
        if not self.adapter["revision"].isdecimal():
            raise ValueError("the adapter's revision is no number")
        return self


class BackupManifest(_Strict):
    """What a backup holds.

    Args:
        store: the id of the Redis that it was made of; None if it holds some of its domains only.
        artifacts: the artifacts that were copied: path below the artifact root ─► sha256 of its manifest.
    """

    format: Literal["vqrec-backup"] = "vqrec-backup"
    format_version: Literal[1] = 1
    made_with: str
    began: datetime
    ended: datetime
    store: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None
    domains: dict[DomainName, DomainEntry] = Field(min_length=1)
    artifacts: dict[str, Sha256] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An item as Redis keeps it, byte by byte; without a ``value`` it was deleted after an earlier line.

    Args:
        value: version, line feed, JSON record.
        vector: the text vector.
        codes: quantiser ─► tag of the text and code.
    """

    item_id: bytes
    value: bytes | None
    vector: bytes | None = None
    codes: Mapping[str, bytes] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """One line, with its end. Octets that are not UTF-8 become lone surrogates, as with ``surrogateescape``."""
        document: dict[str, Any] = {"item_id": _text(self.item_id)}
        if self.value is None:
            document["deleted"] = True
        else:
            document["value"] = _text(self.value)
        if self.vector is not None:
            document["vector"] = base64.b64encode(self.vector).decode()
        if self.codes:
            document["codes"] = {name: base64.b64encode(code).decode() for name, code in self.codes.items()}
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, raw: bytes) -> "ItemLine":
        """Read a line; raises ValueError if it is none."""
        document = json.loads(raw)
        if not isinstance(document, dict) or not isinstance(document.get("item_id"), str):
            raise ValueError("it is not an object with an item_id")
        item_id, keys = _bytes(document["item_id"]), document.keys() - {"item_id"}
        if keys == {"deleted"} and document["deleted"] is True:
            return cls(item_id, None)
        if "value" not in keys or not keys <= {"value", "vector", "codes"}:
            raise ValueError("it has other fields than an item")
        codes = document.get("codes", {})
        if not isinstance(codes, dict) or not all(map(_SHA256.fullmatch, codes)):
            raise ValueError("its codes are not by quantiser")
        vector = _decoded(document["vector"]) if "vector" in keys else None
        decoded = {name: _decoded(code) for name, code in codes.items()}
        return cls(item_id, _bytes(document["value"]), vector, decoded)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("a field is no text")
    return text.encode("utf-8", "surrogateescape")


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("a vector or a code is no text")
    return base64.b64decode(text, validate=True)
