"""A domain is read as of one instant, whatever is written to it meanwhile."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from service.backup.errors import BackupError
from service.backup.format import ItemLine
from service.backup.reading import DomainReading
from tests.service.backup.shops import ADAPTER, QUANTIZER, Shop

ITEMS = 30
names = st.integers(0, 2 * ITEMS).map(str)
writes = st.lists(st.tuples(st.sampled_from(["put", "delete"]), names, st.text("ab", max_size=3)), max_size=8)


def in_pages(redis: "Redis") -> None:
    """Let the server give even a small hash page by page."""
    redis.config_set("hash-max-ziplist-entries", 0)


def settled(lines: Iterable[ItemLine]) -> dict[bytes, ItemLine]:
    """What is left of lines, of which a later one counts more."""
    latest = {line.item_id: line for line in lines}
    return {item_id: line for item_id, line in latest.items() if line.value is not None}


def stored(redis: "Redis", shop: Shop) -> dict[bytes, ItemLine]:
    values, vectors = redis.hgetall(shop.keys.items), redis.hgetall(shop.keys.vectors)
    codes = redis.hgetall(shop.keys.codes(QUANTIZER))
    return {name: ItemLine(name, value, vectors[name], {QUANTIZER: codes[name]}) for name, value in values.items()}


def apply(shop: Shop, redis: "Redis", operation: str, name: str, text: str) -> None:
    if operation == "put":
        shop.put(name, text)
    elif redis.hexists(shop.keys.items, name):
        shop.delete(name)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(writes, max_size=30))
def test_the_pages_are_the_domain_as_of_the_last_of_them(source: "Redis", between: list[Any]) -> None:
    source.flushall()
    in_pages(source)
    shop = Shop(source)
    shop.fill(ITEMS)
    lines: list[ItemLine] = []
    reading, to_come = DomainReading(source, "shop", page=7), iter(between)
    for page in reading.pages():
        lines += page
        as_read = stored(source, shop)
        if reading.state is None:
            for write in next(to_come, []):
                apply(shop, source, *write)
    assert reading.state is not None
    assert settled(lines) == as_read
    assert (reading.state.items, reading.state.vectors) == (len(as_read), len(as_read))
    assert reading.state.position == source.xrevrange(shop.keys.changes, count=1)[0][0].decode()
    assert reading.state.adapter["sha256"] == ADAPTER


def test_the_adapter_is_the_one_of_that_instant(source: "Redis") -> None:
    shop = Shop(source)
    shop.put("a")
    reading = DomainReading(source, "shop")
    for number, _ in enumerate(reading.pages()):
        if number == 0:
            shop.choose("d" * 64, revision="1")
    assert reading.state is not None
    assert reading.state.adapter["sha256"] == "d" * 64
    assert reading.state.adapter["previous_sha256"] == ADAPTER


def read_on_after(redis: "Redis", what: Callable[[], object]) -> None:
    for number, _ in enumerate(DomainReading(redis, "shop", page=7).pages()):
        if number == 0:
            what()


def test_changes_that_were_trimmed_before_they_were_read_are_missed(source: "Redis") -> None:
    shop = Shop(source)
    shop.put("a")

    with pytest.raises(BackupError, match="VQREC_STREAM_LENGTH"):
        read_on_after(source, lambda: shop.fill(1000, length=100))


def test_a_domain_that_is_deleted_meanwhile_is_not_half_read(source: "Redis") -> None:
    shop = Shop(source)
    shop.put("a")
    with pytest.raises(BackupError, match="deleted while"):
        read_on_after(source, shop.remove)


def test_a_domain_that_is_deleted_and_made_anew_meanwhile_is_not_half_read(source: "Redis") -> None:
    shop = Shop(source)
    shop.put("a")

    def anew() -> None:
        shop.remove()
        source.hset(Shop(source).keys.adapter, "incarnation", "another")

    with pytest.raises(BackupError, match="deleted while"):
        read_on_after(source, anew)


def test_a_domain_that_is_not_there_is_named(source: "Redis") -> None:
    with pytest.raises(BackupError, match="no domain 'shop'"):
        list(DomainReading(source, "shop").pages())
