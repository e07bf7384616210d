"""The bytes of a manifest ─► what it says, or what is wrong with it."""

import json
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.manifest import AdapterManifest, BackboneManifest, Manifest, TextEncoderManifest

AnyManifest = TextEncoderManifest | BackboneManifest | AdapterManifest
M = TypeVar("M", TextEncoderManifest, BackboneManifest, AdapterManifest)

_ANY_MANIFEST: TypeAdapter[AnyManifest] = TypeAdapter(Manifest)
_TOLD = 200  # characters of what was found that an error tells


def parse_manifest(raw: bytes, manifest_type: type[M], where: str) -> M:
    """The manifest of an artifact of one kind.

    Args:
        raw: its bytes.
        manifest_type: the kind of artifact that is expected.
        where: what an error calls it.

    Raises:
        InvalidArtifactError: if it is none, naming its first fault.
        ArtifactMismatchError: if it is of another kind of artifact.
    """
    manifest = parse_any_manifest(raw, where)
    if not isinstance(manifest, manifest_type):
        raise ArtifactMismatchError(f"{where} is of the kind {manifest.kind}, not {_kind(manifest_type)}")
    return manifest


def parse_any_manifest(raw: bytes, where: str) -> AnyManifest:
    """As :func:`parse_manifest`, of whatever kind."""
    try:
        manifest = _ANY_MANIFEST.validate_json(raw)
        refuse_doubles(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:_TOLD]
        raise InvalidArtifactError(f"{where} cannot be read: {place}: {first['msg'][:_TOLD]}") from error
    except ValueError as error:
        raise InvalidArtifactError(f"{where} cannot be read: {error}") from error
    return manifest


def refuse_doubles(raw: bytes) -> None:
    """Raise ValueError if an object in this JSON has a key twice: of two readers, each might believe another."""

    def unique(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:_TOLD]!r} is there twice")
            seen.add(key)

    json.loads(raw, object_pairs_hook=unique)


def _kind(manifest_type: type[M]) -> str:
    return str(manifest_type.model_fields["kind"].default)
