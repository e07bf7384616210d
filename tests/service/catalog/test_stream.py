"""The change stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.directory import AdapterChoice, DomainDirectory, WantedDomain
from service.catalog.record import ItemRecord
from service.catalog.repository import CatalogueRepository, ItemWrite
from service.catalog.stream import START, ChangeStream, StreamGapError, StreamId
from service.errors import UnknownDomainError, UnknownItemError
from service.redis_client import RedisClient

pytestmark = pytest.mark.anyio

RECORD = ItemRecord(text="a", text_sha256="ca" * 32, attributes={"price": 1.5}, available=True)
CHOICE = WantedDomain("shop", "i", 1, "operation", AdapterChoice("adapters/shop/a", "a" * 64), None)


@given(st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)), st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)))
def test_ids_are_ordered_as_redis_orders_them(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (StreamId(*one) < StreamId(*other)) == (one < other)
    assert StreamId.parse(str(StreamId(*one))) == StreamId(*one)


@pytest.fixture
async def repository(redis: RedisClient) -> CatalogueRepository:
    assert await DomainDirectory(redis).choose(CHOICE)
    return CatalogueRepository(redis, "shop", 1000)


async def test_a_write_is_a_change_whose_id_is_its_version(redis: RedisClient, repository: CatalogueRepository) -> None:
    (first,) = await repository.put("q", [ItemWrite("a", RECORD, b"", b"\0\0", b"\1")])
    deleted = await repository.delete("q", "a")
    changes = await ChangeStream(redis, "shop").read(START)
    assert [(change.operation, change.item_id) for change in changes] == [("put", "a"), ("delete", "a")]
    assert [change.id for change in changes] == [first, deleted]
    assert [change.after for change in changes] == [START, first]
    assert await repository.get(["a"]) == [None]


async def test_of_two_writers_that_read_the_same_the_second_writes_nothing(repository: CatalogueRepository) -> None:
    (first,) = await repository.put("q", [ItemWrite("a", RECORD, b"")])
    stale = RECORD.model_copy(update={"available": False})
    assert await repository.put("q", [ItemWrite("a", stale, b"")]) == [None]
    assert await repository.put("q", [ItemWrite("a", stale, b"1-1")]) == [None]
    (stored,) = await repository.get(["a"])
    assert stored is not None
    assert (stored.version, stored.record) == (str(first), RECORD)
    (second,) = await repository.put("q", [ItemWrite("a", stale, str(first).encode())])
    assert second is not None


async def test_a_gap_is_noticed(redis: RedisClient, repository: CatalogueRepository) -> None:
    changes = await repository.put("q", [ItemWrite(str(number), RECORD, b"") for number in range(5)])
    stream = ChangeStream(redis, "shop")
    await redis.run(redis.commands.xtrim("vqrec:{shop}:changes", maxlen=2, approximate=False))
    assert [change.item_id for change in await stream.read(changes[2] or START)] == ["3", "4"]
    with pytest.raises(StreamGapError):
        await stream.read(changes[1] or START)
    assert await stream.end() == changes[-1]


async def test_nothing_is_written_to_a_domain_that_is_not_there(redis: RedisClient) -> None:
    repository = CatalogueRepository(redis, "nowhere", 1000)
    with pytest.raises(UnknownDomainError):
        await repository.put("q", [ItemWrite("a", RECORD, b"")])
    with pytest.raises(UnknownDomainError):
        await repository.delete("q", "a")
    assert await redis.run(redis.commands.keys("vqrec:{nowhere}:*")) == []


async def test_deleting_what_is_not_there_is_no_change(redis: RedisClient, repository: CatalogueRepository) -> None:
    with pytest.raises(UnknownItemError):
        await repository.delete("q", "a")
    assert await ChangeStream(redis, "shop").end() == START


async def test_a_choice_is_a_compare_and_set(redis: RedisClient, repository: CatalogueRepository) -> None:
    directory = DomainDirectory(redis)
    second = WantedDomain("shop", "other", 2, "two", AdapterChoice("adapters/shop/b", "b" * 64), None)
    assert not await directory.choose(CHOICE)
    assert await directory.choose(second)
    assert not await directory.choose(second)
    found = await directory.get("shop")
    assert found is not None
    assert (found.incarnation, found.revision, found.adapter, found.previous) == (
        "i",
        2,
        second.adapter,
        CHOICE.adapter,
    )


async def test_all_domains_have_one_backbone(redis: RedisClient) -> None:
    directory = DomainDirectory(redis)
    assert await directory.enlist("one", "b1") == "b1"
    assert await directory.enlist("two", "b2") == "b1"
    assert await directory.enlist("two", "b1") == "b1"
    for domain in ("one", "two"):
        await directory.delete(domain)
    assert await directory.backbone() is None
    assert await directory.enlist("two", "b2") == "b2"
