"""A backup made while a writer never pauses is the domain after one of its writes: all before it, none after."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import NamedTuple

from redis import Redis

from service.backup.verifying import verified_backup
from service.catalog.stream import StreamId
from tests.service.backup.shops import Shop, backup_into, connect

ITEMS = 2500
WRITES = 5  # between one page and the next


class Write(NamedTuple):
    """What was acknowledged; without a text it was a deletion."""

    change: str
    item_id: bytes
    text: str | None


@contextmanager
def writing(url: str) -> Iterator[list[Write]]:
    """A writer at work; what it has written, in the order in which it was acknowledged."""
    written: list[Write] = []
    enough, rng = Event(), Random(0)  # noqa: S311

    def write() -> None:
        with connect(url) as redis:
            shop, there = Shop(redis), set(map(str, range(ITEMS)))
            for number in count():
                if enough.is_set():
                    return
                item_id = str(rng.randrange(2 * ITEMS))
                if item_id in there and rng.random() < 0.5:
                    there.remove(item_id)
                    written.append(Write(shop.delete(item_id), item_id.encode(), None))
                else:
                    there.add(item_id)
                    text = f"text {number} of the writer"
                    written.append(Write(shop.put(item_id, text, length=100_000), item_id.encode(), text))

    writer = Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        enough.set()
        writer.join()


def after(written: list[Write], position: str) -> dict[bytes, str]:
    """Item ─► text, after the write with that id and those before it."""
    texts = {str(number).encode(): f"text {number}" for number in range(ITEMS)}
    for write in written:
        if StreamId.parse(write.change) <= StreamId.parse(position):
            texts.pop(write.item_id, None)
            if write.text is not None:
                texts[write.item_id] = write.text
    return texts


def test_it_is_the_domain_after_one_write(source: "Redis", urls: tuple[str, str], tmp_path: Path) -> None:
    Shop(source).fill(ITEMS)
    with writing(urls[0]) as written:

        def wait_for_writes(*_: object) -> None:
            goal = len(written) + WRITES
            for _ in range(10_000):
                if len(written) >= goal:
                    return
                time.sleep(0.001)  # the writer is a thread, and tells nobody

        backup = replace(backup_into(tmp_path), on_progress=wait_for_writes)
        entry = backup.write(source, tmp_path / "backup").domains["shop"]
    assert entry.lines > entry.items
    assert StreamId.parse(entry.position) < StreamId.parse(written[-1].change)
    latest = {line.item_id: line for line in verified_backup(tmp_path / "backup").lines("shop")}
    values = {item_id: line.value.partition(b"\n")[2] for item_id, line in latest.items() if line.value is not None}
    expected = {item_id: f'{{"text":"{text}"}}'.encode() for item_id, text in after(written, entry.position).items()}
    assert values == expected
    assert len(values) == entry.items
