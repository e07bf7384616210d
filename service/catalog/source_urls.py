"""Which URLs adapters may be fetched from: those below a prefix that the operator configured, letter for letter.

A prefix is the operator's and may hold what a URL may. What a client adds to it is a path of plain names: nothing that
one reader takes for a host, a query, a way up or an encoded sign, and another for a name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from service.errors import ConfigurationError, InvalidSourceError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_NAME = r"[A-Za-z0-9_+=~,-][A-Za-z0-9._+=~,-]*"
_BELOW = re.compile(rf"{_NAME}(?:/{_NAME})*/?")
_LOCAL = ("file", "local")


@dataclass(frozen=True, slots=True)
class UrlPrefix:
    """A prefix without the slash at its end.

    Args:
        text: as it was configured.
        scheme: before ``://``.
    """

    text: str
    scheme: str

    @classmethod
    def parse(cls, text: str) -> "UrlPrefix":
        """Read one that restricts something.

        Raises:
            ConfigurationError: saying what is wrong with it.
        """
        scheme, found, rest = text.partition("://")
        host, _, path = rest.partition("/")
        fault = None
        if not found or not _SCHEME.fullmatch(scheme):
            fault = "has no scheme such as https:// or s3://, in small letters"
        elif "::" in text or re.search(r"[\s\\?#%@]", rest):
            fault = r"holds ::, a blank or one of \ ? # % @"
        elif any(name in (".", "..") for name in path.split("/")):
            fault = "holds . or .. as a name"
        elif scheme in _LOCAL and (host or not path.strip("/")):
            fault = "must name a folder below /, as in file:///srv/adapters"
        elif scheme not in _LOCAL and not _is_host(text, host):
            fault = "names no host or bucket, or one that cannot be read"
        if fault is not None:
            shown = re.sub(r"//.*@", "//…@", text)  # a user and a password do not belong there, and not into a log
            raise ConfigurationError(f"VQREC_ADAPTER_URL_PREFIXES: {shown!r} {fault}")
        return cls(text.rstrip("/"), scheme)

    def folder(self) -> Path | None:
        """The folder that it names where it is one on this machine."""
        return Path(self.text.partition("://")[2]) if self.scheme in _LOCAL else None


@dataclass(frozen=True, slots=True)
class AllowedUrl:
    """A URL that may be read, and the prefix that it lies below.

    Args:
        text: without a slash at its end.
        prefix: the configured one.
        below: the path from there.
    """

    text: str
    prefix: UrlPrefix
    below: str

    def file(self, name: str) -> "AllowedUrl":
        """A file of the folder that this URL is of."""
        return AllowedUrl(f"{self.text}/{name}", self.prefix, f"{self.below}/{name}")


def allowed(url: str, prefixes: Iterable[UrlPrefix]) -> AllowedUrl:
    """The URL, if it lies below one of the prefixes.

    Raises:
        InvalidSourceError: if it does not, or holds what no path of plain names does.
    """
    for prefix in prefixes:
        if url.startswith(f"{prefix.text}/") and _BELOW.fullmatch(url[len(prefix.text) + 1 :]):
            return AllowedUrl(url.rstrip("/"), prefix, url[len(prefix.text) + 1 :].rstrip("/"))
    raise InvalidSourceError(
        "the URL does not lie below one of VQREC_ADAPTER_URL_PREFIXES, or the path from there holds other signs than "
        "letters, digits and ._+=~,- or a name that begins with a point"
    )


def is_url(source: str) -> bool:
    """Whether a source is meant as a URL, and not as a path."""
    return "://" in source or "::" in source


def _is_host(text: str, host: str) -> bool:
    try:
        urlsplit(text).port  # noqa: B018 - it raises where the port is none
    except ValueError:
        return False
    return bool(host) and not host.startswith(":")
