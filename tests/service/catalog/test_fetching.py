"""Files from URLs, of servers that mean no good: in time, within their size, from nowhere else."""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

import pytest
import trustme

from models.errors import InvalidArtifactError
from service.catalog.fetching import Deadline, fetch
from service.catalog.source_urls import UrlPrefix, allowed
from service.errors import InvalidSourceError
from tests.loopback_server import body, serving

SOON = 0.2
LATE = 60.0


def fetched(url: str, prefix: str, limit: int = 100, seconds: float = LATE) -> bytes:
    into = BytesIO()
    fetch(allowed(url, [UrlPrefix.parse(prefix)]), limit, Deadline(seconds), into)
    return into.getvalue()


def test_a_file_over_http() -> None:
    with serving(body(b"content")) as server:
        assert fetched(f"{server.url}/x", server.url) == b"content"
        assert server.asked == ["/adapters/x"]
        assert server.headers[0]["Accept-Encoding"] == "identity"


def test_a_file_over_https_of_an_authority_that_the_system_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(body(b"content"), authority.issue_cert("127.0.0.1")) as server:
        assert server.url.startswith("https://")
        assert fetched(f"{server.url}/x", server.url) == b"content"
    with (
        serving(body(b"content"), authority.issue_cert("good.example")) as other,
        pytest.raises(InvalidSourceError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        fetched(f"{other.url}/x", other.url)


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with (
        serving(body(b"content"), trustme.CA().issue_cert("127.0.0.1")) as server,
        pytest.raises(InvalidSourceError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        fetched(f"{server.url}/x", server.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://127.0.0.1:{other}/adapters/x", "/secret", "file:///etc/passwd"])
def test_a_redirect_is_not_followed(status: int, to: str) -> None:
    with serving(body(b"secret")) as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("Location", to.format(other=other.port))
            request.send_header("Content-Length", "0")
            request.end_headers()

        with serving(redirect) as server, pytest.raises(InvalidSourceError, match="redirects are not followed"):
            fetched(f"{server.url}/x", server.url)
        assert server.asked == ["/adapters/x"]
    assert other.asked == []


def test_a_proxy_that_the_environment_names_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(body(b"of the proxy")) as proxy, serving(body(b"content")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetched(f"{server.url}/x", server.url) == b"content"
        assert proxy.asked == []


@pytest.mark.parametrize("status", [204, 206, 401, 403, 404, 500])
def test_any_other_answer_than_200_is_refused(status: int) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.end_headers()

    with serving(answer) as server, pytest.raises(InvalidSourceError, match=f"answers {status}"):
        fetched(f"{server.url}/x", server.url)


def test_nothing_is_unpacked() -> None:
    with (
        serving(body(b"\x1f\x8b", Content_Encoding="gzip")) as server,
        pytest.raises(InvalidSourceError, match="comes packed as 'gzip'"),
    ):
        fetched(f"{server.url}/x", server.url)


def test_more_than_the_manifest_says_is_not_read() -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not enough.is_set():
            request.wfile.write(bytes(1 << 16))

    enough = threading.Event()
    with serving(endless) as server:
        try:
            with pytest.raises(InvalidArtifactError, match="larger than the 100 bytes"):
                fetched(f"{server.url}/x", server.url)
        finally:
            enough.set()


def _drip(request: BaseHTTPRequestHandler, over: threading.Event) -> None:
    try:
        while not over.wait(0.01):
            request.wfile.write(b"x")
    except OSError:
        pass  # whom it was for has gone


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n",
    ],
    ids=["in no head", "in its head", "in a body without end", "in a body", "in a chunk"],
)
def test_a_server_that_sends_a_byte_at_a_time_is_given_up(head: bytes) -> None:
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(head)
        _drip(request, over)

    with serving(drip) as server:
        try:
            with pytest.raises(InvalidSourceError, match=f"took longer than {SOON} seconds"):
                fetched(f"{server.url}/x", server.url, limit=9999, seconds=SOON)
        finally:
            over.set()


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/adapters"
        with pytest.raises(InvalidSourceError, match=r"cannot be read: (TimeoutError|it took longer)"):
            fetched(f"{url}/x", url, seconds=SOON)


def test_what_is_no_http_is_refused() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")

    with serving(answer) as server, pytest.raises(InvalidSourceError, match="not answered in HTTP"):
        fetched(f"{server.url}/x", server.url)


def test_a_file_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    assert fetched(f"file://{tmp_path}/x", f"file://{tmp_path}") == b"content"


@pytest.mark.parametrize("kind", ["pipe", "folder", "link out", "link to a pipe", "behind a link out", "nothing"])
def test_only_an_ordinary_file_below_the_prefix_is_read(tmp_path: Path, kind: str) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    for folder in (root, secret):
        folder.mkdir()
    (secret / "x").write_bytes(b"secret")
    below = "x"
    if kind == "pipe":
        os.mkfifo(root / "x")
    elif kind == "folder":
        (root / "x").mkdir()
    elif kind == "link out":
        (root / "x").symlink_to(secret / "x")
    elif kind == "link to a pipe":
        os.mkfifo(root / "pipe")
        (root / "x").symlink_to("pipe")
    elif kind == "behind a link out":
        (root / "y").symlink_to(secret)
        below = "y/x"
    with pytest.raises(InvalidSourceError, match=r"cannot be read|leads out of"):
        fetched(f"file://{root}/{below}", f"file://{root}")


def test_a_protocol_that_does_not_return_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def stuck(*_: object, **__: object) -> None:
        release.wait()
        raise OSError("gone")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem._open", stuck)
    try:
        with pytest.raises(InvalidSourceError, match=f"took longer than {SOON} seconds"):
            fetched("memory://bucket/x", "memory://bucket", seconds=SOON)
    finally:
        release.set()


def test_a_protocol_whose_package_is_missing_says_so() -> None:
    with pytest.raises(InvalidSourceError, match=r"cannot be read: (ImportError|ValueError)"):
        fetched("nosuch://bucket/x", "nosuch://bucket")


def test_a_protocol_of_fsspec_reads_as_much_as_it_may() -> None:
    import fsspec  # noqa: PLC0415 - only here

    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/x", b"content")
    try:
        assert fetched("memory://bucket/x", "memory://bucket") == b"content"
        with pytest.raises(InvalidArtifactError, match="larger than the 6 bytes"):
            fetched("memory://bucket/x", "memory://bucket", limit=6)
        with pytest.raises(InvalidSourceError, match="cannot be read: FileNotFoundError"):
            fetched("memory://bucket/y", "memory://bucket")
    finally:
        memory.rm("/bucket/x")
