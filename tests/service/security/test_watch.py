"""Keys that change while the service runs: all ways in which a file may be exchanged, and in which it may be wrong."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ConfigurationError, UnauthenticatedError
from service.metrics import Metrics
from service.security import Access
from service.security.sources import MOST_BYTES, KeySources
from service.security.watch import KeyWatch

pytestmark = pytest.mark.anyio

FIRST, SECOND = "first-key:read\n", "other-key:read\n"  # as long as each other


class Watched:
    """A file of keys, and who watches it."""

    def __init__(self, path: Path, entries: str | None = None) -> None:
        sources = KeySources(entries, path)
        self.path = path
        self.access = Access(sources.read(), None, Metrics(), now=lambda: 0.0, clock=lambda: 0.0)
        self._watch = KeyWatch(sources, self.access)

    async def looked(self, times: int = 2) -> list[str]:
        """Which of two keys are valid after so many looks."""
        for _ in range(times):
            await self._watch.look()
        return [name for name in ("first", "other", "fixed") if self._knows(f"{name}-key")]

    def _knows(self, key: str) -> bool:
        try:
            self.access.caller(key.encode())
        except UnauthenticatedError:
            return False
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(FIRST)
    return path


@pytest.fixture
def watched(path: Path) -> Watched:
    return Watched(path)


async def test_a_file_that_is_replaced_is_read(watched: Watched) -> None:
    assert await watched.looked() == ["first"]
    beside = watched.path.with_suffix(".new")
    beside.write_text(SECOND)
    beside.rename(watched.path)
    assert await watched.looked() == ["other"]


async def test_a_file_that_is_written_in_place_is_read(watched: Watched) -> None:
    await watched.looked()
    watched.path.write_text(SECOND)
    assert await watched.looked() == ["other"]


async def test_another_file_of_the_same_size_and_time_is_another_file(watched: Watched) -> None:
    await watched.looked()
    before = watched.path.stat()
    beside = watched.path.with_suffix(".new")
    beside.write_text(SECOND)
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(watched.path)
    assert await watched.looked() == ["other"]


async def test_a_link_that_leads_elsewhere_is_followed_as_kubernetes_turns_it(tmp_path: Path) -> None:
    for name, content in (("..one", FIRST), ("..two", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(content)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "keys").symlink_to("..data/keys")
    watched = Watched(tmp_path / "keys")
    assert await watched.looked() == ["first"]
    (tmp_path / "..data_tmp").symlink_to("..two")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert await watched.looked() == ["other"]


async def test_a_file_that_is_still_being_written_is_left_alone(watched: Watched) -> None:
    await watched.looked()
    with watched.path.open("w") as file:
        file.write(SECOND)
        file.flush()
        assert await watched.looked(1) == ["first"]
        file.write("fixed-key:read\n")
        file.flush()
        assert await watched.looked(1) == ["first"]
    assert await watched.looked(1) == ["other", "fixed"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "names no key"),
        ("# all gone\n", "names no key"),
        ("other-key:read\nother-ke", "line 2"),
        ("other-key:read\nname=a sha256=0 scopes=read", "line 2: sha256"),
        ("other-key:read\nother-key:admin", "hold one key"),
        ("other-key:read\n" + "#" * MOST_BYTES, "bytes"),
        (b"other-key:read\n\xff\xfe", "not UTF-8"),
    ],
)
async def test_a_wrong_file_changes_nothing_and_is_told(watched: Watched, content: str | bytes, says: str) -> None:
    watched.path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert await watched.looked(4) == ["first"]
    (reason,) = watched.access.reasons()
    assert says in reason
    assert "other-ke" not in reason
    watched.path.write_text(SECOND)
    assert await watched.looked() == ["other"]
    assert watched.access.reasons() == []


async def test_a_file_that_is_gone_changes_nothing_until_it_is_there_again(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread((folder / "keys").write_text, FIRST)
    watched = Watched(folder / "keys")
    await watched.looked()
    away = folder.rename(folder.with_name("away"))
    assert await watched.looked() == ["first"]
    assert "No such file" in watched.access.reasons()[0]
    away.rename(folder)  # with the very same file, which nothing has changed
    assert await watched.looked() == ["first"]
    assert watched.access.reasons() == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
async def test_what_is_no_file_is_not_waited_for(watched: Watched, make: Callable[[Path], None]) -> None:
    watched.path.unlink()
    await asyncio.to_thread(make, watched.path)
    assert await watched.looked() == ["first"]
    assert "VQREC_API_KEYS_FILE" in watched.access.reasons()[0]


async def test_keys_of_the_environment_stay(path: Path) -> None:
    watched = Watched(path, "fixed-key:read")
    watched.path.write_text(SECOND)
    assert await watched.looked() == ["other", "fixed"]


async def test_a_file_that_stays_is_read_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await watched.looked() == ["first"]

    def read(_: KeySources) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(KeySources, "read", read)
    assert await watched.looked(5) == ["first"]


def test_a_source_that_is_set_must_name_a_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none")
    with pytest.raises(ConfigurationError, match="VQREC_API_KEYS_FILE"):
        KeySources("fixed-key:read", tmp_path / "keys").read()
    with pytest.raises(ConfigurationError, match="VQREC_API_KEYS is set"):
        KeySources(" ", None).read()
    assert KeySources(None, None).read().keys == ()


def test_a_mark_that_editors_put_first_is_no_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"\xef\xbb\xbffirst-key:read\r\n")
    assert KeySources(None, tmp_path / "keys").read().find(b"first-key") is not None
