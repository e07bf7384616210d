"""Disks of a few megabytes that can be filled to the last byte, and have room again."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_BALLAST = "ballast"
_MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && echo mounted && exec cat'


class SmallDisk:
    """A tmpfs over a folder, which only processes see that are started :meth:`inside`, and the test below ``path``.

    It is mounted in a namespace of its own, which asks for no privilege on most systems, and is gone with the process
    that holds it. Where that is not allowed the test is skipped.

    Args:
        folder: what it is mounted over.
        most_bytes: all that it holds.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._most_bytes = folder.resolve(), most_bytes

    def __enter__(self) -> Self:
        tools = [shutil.which(tool) for tool in ("unshare", "nsenter", "mount")]
        if None in tools:
            pytest.skip("a disk that can be full needs unshare, nsenter and mount")
        command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT)
        self._holder = subprocess.Popen(
            [*command, "sh", str(self._most_bytes), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            reason = self._holder.communicate()[1].decode(errors="replace").strip()
            pytest.skip(f"no disk can be mounted here: {reason}")
        # Not to be resolved: the way through /proc is a link, which would lead back to the folder below the disk.
        self.path = Path(f"/proc/{self._holder.pid}/root{self.folder}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._holder.kill()
        self._holder.communicate()

    def inside(self, *command: str) -> Sequence[str]:
        """A command that sees the disk."""
        ways = (f"--target={self._holder.pid}", "--user", "--preserve-credentials", "--mount")
        return ["nsenter", *ways, "--", *command]

    @property
    def free_bytes(self) -> int:
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_bsize

    def fill(self, but_bytes: int = 0) -> None:
        """Take all the room that there is, but so many bytes."""
        self.clear()
        with (self.path / _BALLAST).open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, self.free_bytes - but_bytes)

    def clear(self) -> None:
        """Give the room back."""
        (self.path / _BALLAST).unlink(missing_ok=True)
