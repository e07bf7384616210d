"""The commands, as an operator calls them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from service.backup.commands import backup, restore
from service.redis_server import RedisServerConfig, embedded_redis
from tests.service.backup.shops import Shop, connect, content
from tests.tiny_models import TinyStore


def run(command: Any, *arguments: object, url: str = "") -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], env={"REDIS_URL": url})


def detail(result: Result) -> str:
    """What ``vqrec`` would print of an error."""
    assert result.exit_code == 1
    return str(result.exception)


def fill_embedded(data_dir: Path) -> None:
    async def fill() -> None:
        async with embedded_redis(RedisServerConfig(data_dir / "redis", "always", 30)) as url:
            with connect(url) as redis:
                Shop(redis).put("a")

    asyncio.run(fill())


def test_the_last_line_is_the_folder(source: "Redis", target: "Redis", urls: tuple[str, str], tmp_path: Path) -> None:
    Shop(source).put("a")
    made = run(backup, "--out", tmp_path / "backup", url=urls[0])
    assert (made.exit_code, made.stdout.splitlines()) == (0, [str(tmp_path / "backup")])
    assert "shop: 1 items" in made.stderr
    restored = run(restore, "--from", tmp_path / "backup", url=urls[1])
    assert (restored.exit_code, restored.stdout.splitlines()[-1]) == (0, str(tmp_path / "backup"))
    assert content(target) == content(source)


def test_a_dry_run_writes_nothing_and_finds_what_is_in_the_way(
    source: "Redis", target: "Redis", urls: tuple[str, str], tmp_path: Path
) -> None:
    Shop(source).put("a")
    run(backup, "--out", tmp_path / "backup", url=urls[0])
    dry = run(restore, "--from", tmp_path / "backup", "--dry-run", url=urls[1])
    assert dry.exit_code == 0
    assert "could be restored" in dry.stderr
    assert target.keys("*") == []
    assert "not empty" in detail(run(restore, "--from", tmp_path / "backup", "--dry-run", url=urls[0]))


def test_the_embedded_redis_of_a_stopped_service(tmp_path: Path) -> None:
    fill_embedded(tmp_path / "data")
    assert run(backup, "--out", tmp_path / "backup", "--data-dir", tmp_path / "data").exit_code == 0
    assert run(restore, "--from", tmp_path / "backup", "--data-dir", tmp_path / "new").exit_code == 0
    assert run(backup, "--out", tmp_path / "again", "--data-dir", tmp_path / "new").exit_code == 0
    first, second = (tmp_path / name / "shop.jsonl.gz" for name in ("backup", "again"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.anyio
async def test_the_embedded_redis_of_a_running_service(tmp_path: Path) -> None:
    async with embedded_redis(RedisServerConfig(tmp_path / "data" / "redis", "always", 30)) as url:
        with connect(url) as redis:
            Shop(redis).put("a")
        made = await asyncio.to_thread(run, backup, "--out", tmp_path / "backup", "--data-dir", tmp_path / "data")
    assert made.exit_code == 0, made.exception


def test_no_server_is_made_to_be_backed_up(tmp_path: Path) -> None:
    assert "nothing to back up" in detail(run(backup, "--out", tmp_path / "b", "--data-dir", tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_a_redis_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    result = run(backup, "--out", tmp_path / "b", url=f"unix://{tmp_path}/nobody.sock")
    assert "Redis does not do its part" in detail(result)
    assert "REDIS_URL: this is not a Redis URL" in detail(run(backup, "--out", tmp_path / "b", url="http://localhost"))


def test_a_disk_that_takes_nothing_is_one_line(source: "Redis", urls: tuple[str, str], tmp_path: Path) -> None:
    Shop(source).put("a")
    (tmp_path / "file").write_text("")
    assert "file" in detail(run(backup, "--out", tmp_path / "file" / "backup", url=urls[0]))


def test_artifacts_are_restored_to_where_they_were(
    source: "Redis", target: "Redis", urls: tuple[str, str], tiny: TinyStore, tmp_path: Path
) -> None:
    Shop(source, backbone=tiny.backbone.sha256).choose(tiny.adapter.sha256, revision="1")
    options = ("--with-artifacts", "--artifacts", tiny.root)
    assert run(backup, "--out", tmp_path / "backup", *options, url=urls[0]).exit_code == 0
    root = tmp_path / "root"
    missing = run(restore, "--from", tmp_path / "backup", "--dry-run", "--artifacts", root, url=urls[1])
    assert f"the adapter {tiny.adapter.version} is not in the artifact root" in missing.stderr
    restored = run(restore, "--from", tmp_path / "backup", "--with-artifacts", "--artifacts", root, url=urls[1])
    assert restored.exit_code == 0, restored.exception
    for bundle in (tiny.adapter, tiny.backbone, tiny.text_encoder):
        copy = root / bundle.path.relative_to(tiny.root)
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == {
            path.name: path.read_bytes() for path in bundle.path.iterdir()
        }


def test_another_artifact_is_not_replaced(
    source: "Redis", target: "Redis", urls: tuple[str, str], tiny: TinyStore, tmp_path: Path
) -> None:
    Shop(source, backbone=tiny.backbone.sha256).choose(tiny.adapter.sha256, revision="1")
    run(backup, "--out", tmp_path / "b", "--with-artifacts", "--artifacts", tiny.root, url=urls[0])
    mine = tmp_path / "root" / tiny.adapter.path.relative_to(tiny.root) / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    result = run(restore, "--from", tmp_path / "b", "--with-artifacts", "--artifacts", tmp_path / "root", url=urls[1])
    assert "another artifact" in detail(result)
    assert mine.read_text() == "mine"
    assert target.keys("*") == []


def test_artifacts_that_the_backup_lacks_are_not_asked_of_it(
    source: "Redis", target: "Redis", urls: tuple[str, str], tmp_path: Path
) -> None:
    Shop(source).put("a")
    run(backup, "--out", tmp_path / "backup", url=urls[0])
    result = run(restore, "--from", tmp_path / "backup", "--with-artifacts", url=urls[1])
    assert "made without --with-artifacts" in detail(result)
    assert target.keys("*") == []
