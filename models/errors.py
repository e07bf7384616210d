"""The one hierarchy of errors. Each knows the HTTP status and the short, stable name that a client is answered with."""

from typing import ClassVar


class VqrecError(Exception):
    """An error that a user can act on; its message says what is wrong and what to do.

    ``status`` is the HTTP status of the problem document, ``slug`` its stable type.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidArtifactError(VqrecError):
    """An artifact on disk is damaged, incomplete or not what its manifest says."""

    status = 422
    slug = "invalid-artifact"
    title = "Invalid artifact"


class ArtifactNotFoundError(VqrecError):
    """No artifact lies where one was asked for."""

    status = 404
    slug = "artifact-not-found"
    title = "Artifact not found"


class ArtifactMismatchError(VqrecError):
    """Two artifacts that were to be used together were not made for each other."""

    status = 409
    slug = "artifact-mismatch"
    title = "Artifact mismatch"


class InvalidCodesError(VqrecError, ValueError):
    """Codes or vectors do not fit the layout, quantiser or table they are used with."""

    status = 422
    slug = "invalid-codes"
    title = "Invalid codes"


class InvalidItemError(VqrecError, ValueError):
    """An item has no text that it could be encoded by."""

    status = 422
    slug = "invalid-item"
    title = "Invalid item"
