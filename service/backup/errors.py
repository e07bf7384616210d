"""What keeps a backup from being made or restored; a command line tells it, no client of the service ever sees it."""

from models.errors import VqrecError


class BackupError(VqrecError):
    """A backup cannot be made or restored as things are; nothing was left half done."""


class DamagedBackupError(BackupError):
    """A backup on disk is not what was written, or not one at all; nothing of it was restored."""
