"""Where keys come from: the environment, which stays, and a file, which may change while the service runs."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from service.errors import ConfigurationError
from service.security.entries import join_keys, parse_keys
from service.security.keys import ApiKeys

MOST_BYTES = 1 << 20

Signature = tuple[int, ...]
"""What tells a file from another one, and from itself before it was changed."""


@dataclass(frozen=True)
class KeySources:
    """The two settings that name keys.

    Args:
        entries: of VQREC_API_KEYS; None: not set.
        path: of VQREC_API_KEYS_FILE; None: not set.
    """

    entries: str | None
    path: Path | None

    def read(self) -> ApiKeys:
        """The keys of both as they are now; none if neither is set.

        Raises:
            ConfigurationError: if the file cannot be read, one of the two names no key, an entry is wrong, or two
                contradict each other.
        """
        found = []
        if self.entries is not None:
            found.append(_some_keys(self.entries, "VQREC_API_KEYS", "environment"))
        if self.path is not None:
            found.append(_some_keys(_text_of(self.path), "VQREC_API_KEYS_FILE", "file"))
        return join_keys(*found)

    def signature(self) -> Signature | None:
        """Changes with the file, also where a link leads to another one; None while there is nothing to be read."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _some_keys(entries: str, source: str, unnamed: str) -> ApiKeys:
    keys = parse_keys(entries, source, unnamed)
    if not keys.keys:
        raise ConfigurationError(f"{source} is set, but names no key")
    return keys


def _text_of(path: Path) -> str:
    try:
        # Without waiting, since a pipe that nobody writes to would keep who opens it for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError(f"VQREC_API_KEYS_FILE ({path}) is no regular file")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"VQREC_API_KEYS_FILE ({path}) cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"VQREC_API_KEYS_FILE ({path}) has more than {MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The error that is left out here holds the whole file.
        raise ConfigurationError(f"VQREC_API_KEYS_FILE ({path}) is not UTF-8") from None
