"""The commands are killed in the middle of their work, as ``kill -9`` does it, and are simply run again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from service.backup.commands import backup, restore
from service.backup.verifying import verified_backup
from tests.integration.faults.points import stopping, until_stopped
from tests.service.backup.shops import Content, Shop, content

ITEMS = 2500  # some pages of a backup, and some batches of a restore


def kill_at(place: str, calls: int, command: str, *words: object, url: str) -> None:
    """Run a command as a process, and kill it when a function is called the so-manieth time."""
    code = f"{stopping(place, calls)}\nfrom service.backup.commands import {command}; {command}()"
    environment = {**os.environ, "REDIS_URL": url}
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, words)], env=environment)
    try:
        until_stopped(process.pid)
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL


def run(command: object, *words: object, url: str) -> None:
    result = CliRunner().invoke(command, [*map(str, words)], env={"REDIS_URL": url})  # type: ignore[arg-type]
    assert result.exit_code == 0, result.exception


@pytest.mark.parametrize(
    "place",
    ["service.backup.reading:DomainReading._read", "service.backup.writing:_sync"],
    ids=["while it reads", "before it is on the disk"],
)
def test_a_backup_that_was_killed_has_no_name_and_is_made_again(
    source: "Redis", urls: tuple[str, str], tmp_path: Path, place: str
) -> None:
    calls = 2 if place.endswith("_read") else 1  # the second of three pages
    Shop(source).fill(ITEMS)
    kill_at(place, calls, "backup", "--out", tmp_path / "backup", url=urls[0])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".backup-")
    run(backup, "--out", tmp_path / "backup", url=urls[0])
    assert verified_backup(tmp_path / "backup").manifest.domains["shop"].items == ITEMS


@pytest.mark.parametrize(
    "point", [("_add", 3), ("_put_in_place", 1)], ids=["while it writes", "before all is in place"]
)
def test_a_restore_that_was_killed_left_nothing_that_is_served_and_is_run_again(
    source: "Redis", target: "Redis", urls: tuple[str, str], tmp_path: Path, point: tuple[str, int]
) -> None:
    place, calls = f"service.backup.restoring:{point[0]}", point[1]
    Shop(source).fill(ITEMS)
    run(backup, "--out", tmp_path / "backup", url=urls[0])
    kill_at(place, calls, "restore", "--from", tmp_path / "backup", url=urls[1])
    left = set(target.keys("*"))
    assert left
    assert all(b":restore:" in key and 0 < target.ttl(key) <= 3600 for key in left)
    run(restore, "--from", tmp_path / "backup", url=urls[1])
    restored: Content = {key: value for key, value in content(target).items() if key not in left}
    assert restored == content(source)
