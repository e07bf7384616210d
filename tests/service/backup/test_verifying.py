"""A backup that is not what was written is refused, wherever the damage is."""

import gzip
import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from service.backup.errors import BackupError, DamagedBackupError
from service.backup.verifying import verified_backup
from tests.service.backup.shops import Shop, back_up

FILES = ("SHA256SUMS", "manifest.json", "shop.jsonl.gz")


@pytest.fixture
def backup(source: "Redis", tmp_path: Path) -> Path:
    Shop(source).fill(50)
    back_up(source, tmp_path / "backup")
    return tmp_path / "backup"


def sign(folder: Path) -> None:
    """Write sums that are right, as someone does who knows what they are for."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(sums))


def change_manifest(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    change(document)
    (folder / "manifest.json").write_text(json.dumps(document))
    sign(folder)


def test_a_backup_that_is_whole(backup: Path) -> None:
    assert len(list(verified_backup(backup).lines("shop"))) == 50


@pytest.mark.parametrize("name", FILES)
def test_one_damaged_byte_is_found_wherever_it_is(backup: Path, name: str) -> None:
    whole, rng = (backup / name).read_bytes(), random.Random(0)  # noqa: S311
    places = {0, 1, len(whole) // 2, len(whole) - 1, *rng.sample(range(len(whole)), 60)}
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        (backup / name).write_bytes(damaged)
        with pytest.raises(DamagedBackupError):
            verified_backup(backup)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_or_grew(backup: Path, name: str) -> None:
    whole = (backup / name).read_bytes()
    for changed in (whole[: len(whole) // 2], whole[:-1], b"", whole + b"\0"):
        (backup / name).write_bytes(changed)
        with pytest.raises(DamagedBackupError):
            verified_backup(backup)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_a_link(backup: Path, name: str) -> None:
    (backup / name).rename(backup.parent / name)
    with pytest.raises(DamagedBackupError, match=name):
        verified_backup(backup)
    (backup / name).symlink_to(backup.parent / name)
    with pytest.raises(DamagedBackupError, match=name):
        verified_backup(backup)


def test_a_file_that_nobody_vouches_for(backup: Path) -> None:
    (backup / "more").write_text("more")
    with pytest.raises(DamagedBackupError, match="more is not in SHA256SUMS"):
        verified_backup(backup)
    sign(backup)
    with pytest.raises(DamagedBackupError, match="do not agree about more"):
        verified_backup(backup)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda manifest: manifest.update(format_version=2), "format_version"),
        (lambda manifest: manifest.update(more=1), "more"),
        (lambda manifest: manifest["domains"]["shop"].update(lines=49), "50 lines"),
        (lambda manifest: manifest["domains"]["shop"].update(position="now"), "position"),
        (lambda manifest: manifest["domains"]["shop"]["adapter"].pop("sha256"), "sha256"),
        (lambda manifest: manifest["domains"]["shop"]["adapter"].update(revision="first"), "revision"),
        (lambda manifest: manifest["domains"].update({"../shop": manifest["domains"].pop("shop")}), "domains"),
        (lambda manifest: manifest.update(domains={}), "domains"),
    ],
)
def test_a_manifest_that_is_well_signed_and_wrong(
    backup: Path, change: Callable[[dict[str, object]], object], fault: str
) -> None:
    change_manifest(backup, change)
    with pytest.raises(DamagedBackupError, match=fault):
        verified_backup(backup)


@pytest.mark.parametrize(
    "lines",
    [
        b"no gzip",
        gzip.compress(b"{}\n" * 50),
        gzip.compress(b"x" * 200),
        gzip.compress(b'{"item_id":"a","deleted":true}'),
    ],
    ids=["no gzip", "objects of nothing", "no lines", "fields of another kind"],
)
def test_lines_that_are_well_signed_and_wrong(backup: Path, lines: bytes) -> None:
    (backup / "shop.jsonl.gz").write_bytes(lines)
    sign(backup)
    with pytest.raises(DamagedBackupError, match=r"shop\.jsonl\.gz"):
        verified_backup(backup)


def test_a_file_that_changes_after_it_was_verified(backup: Path) -> None:
    verified = verified_backup(backup)
    raw = gzip.decompress((backup / "shop.jsonl.gz").read_bytes())
    (backup / "shop.jsonl.gz").write_bytes(gzip.compress(raw.replace(b"text 7", b"text 8")))
    with pytest.raises(DamagedBackupError, match="changed while"):
        list(verified.lines("shop"))


def test_what_is_no_backup_at_all(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no backup at"):
        verified_backup(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match="no backup at"):
        verified_backup(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DamagedBackupError, match="SHA256SUMS cannot be read"):
        verified_backup(tmp_path / "folder")


def test_a_backup_can_be_moved(backup: Path) -> None:
    moved = backup.parent / "moved"
    shutil.move(backup, moved)
    verified_backup(moved)
