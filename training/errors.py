"""Errors of the offline stages."""

from models.errors import VqrecError


class DataError(VqrecError):
    """Data that a stage was given cannot be read, or cannot be used as it is."""

    status = 422
    slug = "invalid-data"
    title = "Invalid data"


class RowError(DataError):
    """One row cannot be used. ``reason`` is what such rows are counted by, ``detail`` may quote the row."""

    def __init__(self, reason: str, value: object = None) -> None:
        quoted = "" if value is None else f": {str(value)[:80]!r}"
        super().__init__(reason + quoted)
        self.reason = reason


class UnwritableError(VqrecError):
    """A place takes no files, or a library could not write, mostly since the disk is full; of our writes OSError."""

    status = 500
    slug = "unwritable"
    title = "Cannot be written"


class ServiceError(VqrecError):
    """A running service cannot be reached, or refused what it was sent."""

    status = 502
    slug = "service-error"
    title = "Service error"
