"""A restore brings back all, or nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from service.backup.errors import BackupError
from service.backup.restoring import Restore
from service.backup.verifying import VerifiedBackup, verified_backup
from tests.service.backup.shops import Shop, backed_up, backup_into, connect, content


def restore(
    redis: "Redis", backup: VerifiedBackup, *domains: str, on_progress: Callable[[], object] = lambda: None
) -> None:
    Restore(lambda: "a new id", lambda *_: on_progress() and None).write(redis, backup, domains)


def filled(redis: "Redis") -> Shop:
    shop = Shop(redis)
    shop.fill(1200)
    shop.delete("7")
    shop.put(b"\xff not UTF-8", text="größe")
    redis.hset(shop.keys.items, "damaged", b"\x00\xff no record")
    redis.hset(shop.keys.vectors, "damaged", b"no vector")
    shop.choose("d" * 64, revision="1")
    return shop


def test_everything_is_as_it_was_octet_by_octet(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    filled(source)
    Shop(source, "garden").put("a")
    Shop(source, "empty")
    restore(target, backed_up(source, tmp_path / "backup"))
    assert content(target) == content(source)
    assert not [key for key in target.keys("*") if target.ttl(key) != -1]


def test_what_changed_while_the_backup_was_made_counts_last(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    shop = filled(source)
    now: dict[bytes, object] = {}

    def change(*_: object) -> None:
        if not now:
            shop.put("1", "changed")
            shop.delete("2")
            shop.put("new")
            now.update(content(source))

    replace(backup_into(tmp_path), on_progress=change).write(source, tmp_path / "backup")
    backup = verified_backup(tmp_path / "backup")
    assert backup.manifest.domains["shop"].lines > backup.manifest.domains["shop"].items
    restore(target, backup)
    assert content(target) == now == content(source)


@pytest.mark.parametrize("key", ["vqrec:store", "vqrec:domains", "vqrec:{other}:items"])
def test_a_whole_backup_goes_into_an_empty_redis_only(
    source: "Redis", target: "Redis", tmp_path: Path, key: str
) -> None:
    Shop(source).put("a")
    backup = backed_up(source, tmp_path / "backup")
    target.hset(key, "a", "b")
    before = content(target)
    with pytest.raises(BackupError, match="not empty"):
        restore(target, backup)
    assert content(target) == before


def test_what_is_not_of_the_service_is_not_in_the_way(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    target.set("somebody's", "own")
    target.xadd("vqrec:control", {"wake": "up"})
    restore(target, backed_up(source, tmp_path / "backup"))
    assert content(target) == content(source) | {b"somebody's": b"own"}


def test_a_domain_beside_others(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    filled(source)
    Shop(source, "garden").put("a")
    Shop(target, "other").put("b")
    before = content(target)
    backup = backed_up(source, tmp_path / "backup")
    restore(target, backup, "shop")
    after = content(target)
    assert {key for key in after if b"{shop}" in key} == {key for key in content(source) if b"{shop}" in key}
    assert after[b"vqrec:domains"].keys() == {b"shop", b"other"}
    assert after[b"vqrec:store"] == before[b"vqrec:store"]
    with pytest.raises(BackupError, match="'shop' is there already"):
        restore(target, backup, "shop")
    assert content(target) == after


def test_a_part_makes_another_store(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    Shop(source, "garden").put("b")
    restore(target, backed_up(source, tmp_path / "whole"), "garden")
    assert target.get("vqrec:store") == b"a new id"
    target.flushall()
    restore(target, backed_up(source, tmp_path / "part", "garden"))
    assert target.get("vqrec:store") == b"a new id"


def test_domains_of_two_backbones_do_not_go_together(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    Shop(target, "other", backbone="e" * 64)
    with pytest.raises(BackupError, match="one backbone"):
        restore(target, backed_up(source, tmp_path / "backup"), "shop")


def test_a_domain_that_the_backup_lacks_is_named(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    Shop(source).put("a")
    with pytest.raises(BackupError, match="no domain 'garden'; it has shop"):
        restore(target, backed_up(source, tmp_path / "backup"), "garden")


def test_an_interrupted_restore_leaves_nothing_and_can_be_run_again(
    source: "Redis", target: "Redis", tmp_path: Path
) -> None:
    filled(source)
    backup = backed_up(source, tmp_path / "backup")

    def interrupt() -> None:
        assert not [key for key in target.keys("*") if b":restore:" not in key]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(target, backup, on_progress=interrupt)
    assert target.keys("*") == []
    restore(target, backup)
    assert content(target) == content(source)


def test_what_a_killed_restore_leaves_goes_by_itself_and_is_in_nobodys_way(
    source: "Redis", target: "Redis", tmp_path: Path
) -> None:
    filled(source)
    backup = backed_up(source, tmp_path / "backup")
    left: dict[bytes, bytes] = {}

    def remember() -> None:
        left.update({key: target.dump(key) for key in target.keys("*")})
        assert all(0 < target.ttl(key) <= 3600 for key in left)

    restore(target, backup, on_progress=remember)
    target.flushall()
    for key, dumped in left.items():
        target.restore(key.replace(b"a new id", b"an old id"), 3600_000, dumped)
    restore(target, backup)
    assert {key: value for key, value in content(target).items() if b"an old id" not in key} == content(source)


def test_a_domain_that_comes_meanwhile_is_not_overwritten(
    source: "Redis", target: "Redis", tmp_path: Path, urls: tuple[str, str]
) -> None:
    filled(source)
    backup = backed_up(source, tmp_path / "backup")
    with connect(urls[1]) as other:
        with pytest.raises(BackupError):
            restore(target, backup, on_progress=lambda: Shop(other).put("mine"))
        assert target.hkeys("vqrec:{shop}:items") == [b"mine"]
        assert not target.keys("*:restore:*")


def test_a_backup_that_lacks_an_item_is_not_put_in_place(source: "Redis", target: "Redis", tmp_path: Path) -> None:
    filled(source)
    backup = backed_up(source, tmp_path / "backup")
    document = json.loads(backup.manifest.model_dump_json())
    document["domains"]["shop"]["items"] += 1
    short = replace(backup, manifest=type(backup.manifest).model_validate(document))
    with pytest.raises(BackupError, match="items were written"):
        restore(target, short)
    assert target.keys("*") == []


def test_what_was_staged_is_kept_however_long_the_next_domain_takes(
    source: "Redis", target: "Redis", tmp_path: Path
) -> None:
    Shop(source, "first").fill(10)
    Shop(source, "second").fill(1200)  # some batches
    seconds: list[int] = []

    def let_it_age() -> None:
        (staged,) = target.keys("*{first}:restore:*:items")
        seconds.append(target.ttl(staged))
        target.expire(staged, 100)

    restore(target, backed_up(source, tmp_path / "backup"), on_progress=let_it_age)
    assert len(seconds) > 2
    assert min(seconds) > 3000
    assert content(target) == content(source)


def test_a_clock_that_is_set_ahead_meanwhile_costs_the_restore_and_no_item(
    source: "Redis", target: "Redis", tmp_path: Path
) -> None:
    Shop(source, "first").fill(10)
    Shop(source, "second").fill(10)
    backup = backed_up(source, tmp_path / "backup")

    def set_ahead() -> None:
        for key in target.keys("*{second}:restore:*"):  # the last one, after which only the commit comes
            for of_first in target.keys("*{first}:restore:*"):
                target.delete(of_first)
            assert target.exists(key)

    with pytest.raises(BackupError, match="first: 0 items were written, the backup has 10; nothing was restored"):
        restore(target, backup, on_progress=set_ahead)
    assert target.keys("*") == []
    restore(target, backup)
    assert content(target) == content(source)


def test_a_domain_that_comes_in_the_last_moment_is_not_overwritten(
    source: "Redis", target: "Redis", tmp_path: Path, urls: tuple[str, str]
) -> None:
    filled(source)
    backup = backed_up(source, tmp_path / "backup", "shop")  # a part, whose store gets a new id at the very end
    asked: list[str] = []

    def new_id() -> str:
        if asked:
            target_of_another.hset("vqrec:{shop}:items", "mine", "mine")
        asked.append("id")
        return f"id {len(asked)}"

    with connect(urls[1]) as target_of_another, pytest.raises(BackupError, match="meanwhile"):
        Restore(new_id, lambda *_: None).write(target, backup)
    assert target.hgetall("vqrec:{shop}:items") == {b"mine": b"mine"}
    assert not target.keys("*:restore:*")
