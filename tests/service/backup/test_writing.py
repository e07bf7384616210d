"""A backup is whole or not there, and overwrites nothing."""

import json
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from models.errors import VqrecError
from models.store import ArtifactStore
from service.backup.errors import BackupError
from tests.service.backup.shops import ADAPTER, BACKBONE, QUANTIZER, Shop, back_up, backup_into, connect
from tests.tiny_models import write_tiny_adapter, write_tiny_store


def test_what_a_backup_says_of_itself(source: "Redis", tmp_path: Path) -> None:
    shop = Shop(source)
    shop.put("a")
    change = shop.put("b")
    manifest = back_up(source, tmp_path / "backup")
    assert manifest.store == "store of shop"
    domain = manifest.domains["shop"]
    assert (domain.items, domain.vectors, domain.lines, domain.codes) == (2, 2, 2, (QUANTIZER,))
    assert (domain.position, domain.adapter["sha256"], domain.backbone) == (change, ADAPTER, BACKBONE)
    assert json.loads((tmp_path / "backup" / "manifest.json").read_text())["domains"].keys() == {"shop"}


def test_a_backup_is_verified_by_what_every_system_has(source: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    back_up(source, tmp_path / "backup")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "backup", check=True)  # noqa: S607
    lines = subprocess.run(["zcat", "shop.jsonl.gz"], cwd=tmp_path / "backup", check=True, capture_output=True).stdout  # noqa: S607
    assert json.loads(lines)["item_id"] == "a"


def test_a_backup_is_for_its_owner_alone(source: "Redis", tmp_path: Path) -> None:
    Shop(source)
    back_up(source, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["folder", "file", "dead link"])
def test_nothing_is_overwritten(source: "Redis", tmp_path: Path, kind: str) -> None:
    Shop(source)
    out = tmp_path / "backup"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to("nowhere")
    with pytest.raises(BackupError, match="overwrites nothing"):
        back_up(source, out)
    assert list(tmp_path.iterdir()) == [out]


def test_a_part_of_a_store_does_not_pass_for_it(source: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    Shop(source, "garden").put("b")
    part = back_up(source, tmp_path / "part", "garden")
    assert (part.store, part.domains.keys()) == (None, {"garden"})
    whole = back_up(source, tmp_path / "whole")
    assert (whole.store, whole.domains.keys()) == ("store of shop", {"garden", "shop"})


def test_an_empty_redis_is_no_backup(source: "Redis", tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        back_up(source, tmp_path / "backup")
    with pytest.raises(BackupError, match="no domain 'shop'"):
        back_up(source, tmp_path / "backup", "shop")
    assert list(tmp_path.iterdir()) == []


def test_a_redis_that_is_replaced_meanwhile_leaves_nothing(
    source: "Redis", tmp_path: Path, urls: tuple[str, str]
) -> None:
    Shop(source).put("a")
    with connect(urls[0]) as other:
        backup = backup_into(tmp_path)

        def replace(*_: object) -> None:
            other.set("vqrec:store", "another")

        with pytest.raises(BackupError, match="replaced while"):
            type(backup)(backup.artifacts, False, backup.clock, replace, backup.on_notice).write(
                source, tmp_path / "out"
            )
    assert list(tmp_path.iterdir()) == []


def test_artifacts_go_along_with_what_names_them(source: "Redis", tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "root")
    other = write_tiny_adapter(tiny, seed=1)
    shop = Shop(source, backbone=tiny.backbone.sha256)
    shop.choose(tiny.adapter.sha256, revision="1")
    shop.choose(other.sha256, revision="2")
    manifest = backup_into(tiny.root, with_artifacts=True).write(source, tmp_path / "backup")
    assert manifest.domains["shop"].text_encoder == tiny.text_encoder.sha256
    store = ArtifactStore(tmp_path / "backup" / "artifacts")
    copied = [store.resolve(place).relative_to(store.root.resolve()).as_posix() for place in manifest.artifacts]
    assert sorted(copied) == sorted(
        str(bundle.path.relative_to(tiny.root)) for bundle in (tiny.adapter, other, tiny.backbone, tiny.text_encoder)
    )


def test_artifacts_that_are_not_whole_are_not_backed_up(source: "Redis", tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "root")
    Shop(source, backbone=tiny.backbone.sha256).choose(tiny.adapter.sha256, revision="1")
    (tiny.adapter.path / "popularity.json").write_text("{}   ")
    with pytest.raises(VqrecError, match=r"damaged|bytes"):
        backup_into(tiny.root, with_artifacts=True).write(source, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_way_back_that_is_gone_is_said(source: "Redis", tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "root")
    Shop(source, backbone=tiny.backbone.sha256).choose(tiny.adapter.sha256, revision="1")
    notices: list[str] = []
    backup_into(tiny.root, with_artifacts=True, notices=notices).write(source, tmp_path / "backup")
    assert notices == [
        f"shop: the previous adapter {ADAPTER[:12]} is no longer in the artifact root: there is no way back to it"
    ]
