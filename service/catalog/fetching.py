"""Files read from URLs, within a time and a size: on this machine, over HTTP, and by fsspec from everywhere else."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR, socket
from ssl import create_default_context
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec

from models.bundle import opened
from models.errors import InvalidArtifactError
from service.catalog.source_urls import AllowedUrl
from service.errors import InvalidSourceError

_CHUNK = 1 << 20
_SILENT_SECONDS = 30.0
_OK = 200
_REDIRECTS = range(300, 400)


class Deadline:
    """When a fetch must be over, of the monotonic clock.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: if none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(self.fault)
        return left

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    @property
    def fault(self) -> str:
        return f"it took longer than {self._seconds:g} seconds"


def fetch(url: AllowedUrl, limit: int, deadline: Deadline, into: IO[bytes]) -> None:
    """Copy what lies at ``url``.

    Args:
        url: one that may be read.
        limit: bytes that it may have.
        deadline: when this must be over; an fsspec protocol that does not return is left alone with its thread then.
        into: what is written to; its errors are raised as they are.

    Raises:
        InvalidSourceError: if it cannot be read in time.
        InvalidArtifactError: if it is larger than ``limit``.
    """
    if url.prefix.folder() is not None:
        _copy(url, _local(url), limit, deadline, into)
    elif url.prefix.scheme in ("http", "https"):
        _copy(url, _over_http(url.text, deadline), limit, deadline, into)
    else:
        _within(url, deadline, lambda: _copy(url, _by_fsspec(url.text), limit, deadline, into))


def _copy(url: AllowedUrl, source: Any, limit: int, deadline: Deadline, into: IO[bytes]) -> None:  # noqa: ANN401 - fsspec has no types
    """Copy from what the context ``source`` opens; every protocol raises its own errors."""
    found = 0
    chunks = _chunks(source, limit, deadline)
    while True:
        try:
            chunk = next(chunks, b"")
        except Exception as error:
            # What was cut off at the deadline fails in its own way; that it was is what there is to tell.
            if isinstance(error, InvalidSourceError) and not deadline.is_over:
                raise
            fault = deadline.fault if deadline.is_over else f"{type(error).__name__}: {error}"
            raise InvalidSourceError(f"{url.text} cannot be read: {fault}") from error
        found += len(chunk)
        if found > limit:
            raise InvalidArtifactError(f"{url.text} is larger than the {limit} bytes that it should have")
        if not chunk:
            return
        into.write(chunk)


def _chunks(source: Any, limit: int, deadline: Deadline) -> Iterator[bytes]:  # noqa: ANN401 - as above
    with source as file:
        left = limit + 1
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            yield chunk
            left -= len(chunk)
            deadline.left()
    deadline.left()


@contextmanager
def _local(url: AllowedUrl) -> Iterator[IO[bytes]]:
    """An ordinary file below the prefix's folder, and no link out of it."""
    folder = url.prefix.folder()
    if folder is None:
        raise InvalidSourceError(f"{url.text} is not on this machine")
    root = folder.resolve()
    path = (root / url.below).resolve()
    if not path.is_relative_to(root):
        raise InvalidSourceError(f"{url.text} leads out of {url.prefix.text}")
    try:
        with opened(path, f"there is no file {url.text}") as file:
            yield file
    except InvalidArtifactError as error:
        raise InvalidSourceError(f"{url.text} cannot be read: {error.detail}") from error


@contextmanager
def _over_http(url: str, deadline: Deadline) -> Iterator[IO[bytes]]:
    """The body of the answer to one GET: no redirect is followed, nothing unpacked, and no proxy asked.

    A redirect would lead where no prefix allows. At the deadline the connection is cut, whatever it waits for.
    """
    parts = urlsplit(url)
    timeout = min(_SILENT_SECONDS, deadline.left())
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(
            host, parts.port, timeout=timeout, context=create_default_context()
        )
    else:
        connection = HTTPConnection(host, parts.port, timeout=timeout)
    cut: threading.Timer | None = None
    try:
        connection.connect()
        # The socket by itself: the connection lets go of it where the end of the body is that of the connection.
        cut = threading.Timer(deadline.left(), _cut, (connection.sock,))
        cut.daemon = True
        cut.start()
        connection.request("GET", parts.path, headers={"Accept-Encoding": "identity", "User-Agent": "vqrec"})
        answer = connection.getresponse()
        if answer.status in _REDIRECTS:
            raise InvalidSourceError(f"{url} is redirected ({answer.status}), and redirects are not followed")
        if answer.status != _OK:
            raise InvalidSourceError(f"{url} answers {answer.status}")
        if (encoding := answer.headers.get("Content-Encoding", "identity")) != "identity":
            raise InvalidSourceError(f"{url} comes packed as {encoding!r}, and nothing is unpacked")
        yield answer
        deadline.left()  # a connection that was cut looks like the end of a body
    except HTTPException as error:
        raise InvalidSourceError(f"{url} is not answered in HTTP: {type(error).__name__}") from error
    finally:
        if cut is not None:
            cut.cancel()
        connection.close()


@contextmanager
def _by_fsspec(url: str) -> Iterator[IO[bytes]]:
    with fsspec.open(url, "rb") as file:
        yield file


def _cut(connection: socket) -> None:
    with suppress(OSError):  # it was over just now
        connection.shutdown(SHUT_RDWR)


def _within(url: AllowedUrl, deadline: Deadline, work: Callable[[], None]) -> None:
    """Do it on a thread of its own, and go on without it when the deadline has come."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    try:
        done.result(deadline.left())
    except TimeoutError as error:
        raise InvalidSourceError(f"{url.text} cannot be read: {deadline.fault}") from error
