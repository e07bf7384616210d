"""The catalogue of a running service, read from its Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from service.redis_server import RedisServerConfig, embedded_redis
from tests.running_service import make_settings, running_service
from tests.tiny_models import TinyStore
from tests.training.small_shop import SmallShops
from training.dataset import load_items
from training.errors import DataError, ServiceError
from training.redis_source import join_interactions, read_catalogue

pytestmark = pytest.mark.anyio

TEXTS = {"b": "A Box of Nails", "a": "hammer with a wooden shaft", "c": "Säge"}


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with embedded_redis(RedisServerConfig(tmp_path / "redis", "everysec", 30)) as url:
        yield url


async def test_what_a_service_took_is_read_with_the_vectors_that_it_made(
    tiny: TinyStore, redis_url: str, tmp_path: Path
) -> None:
    async with running_service(make_settings(tiny.root, tmp_path / "data", redis_url=redis_url)) as service:
        await service.until_ready()
        await service.serve(tiny.adapter)
        await service.put_items(TEXTS)
        gone = await service.http.delete("/v1/domains/shop/items/c")
        assert gone.is_success
        hidden = await service.http.patch("/v1/domains/shop/items/b", json={"available": False})
        assert hidden.is_success
        catalogue = await asyncio.to_thread(read_catalogue, redis_url, "shop")
    assert catalogue.items.item_ids == ("a", "b")
    assert catalogue.items.texts == [TEXTS["a"], TEXTS["b"]]
    assert catalogue.vectors == [vector.tobytes() for vector in tiny.load_text_encoder().encode(catalogue.items.texts)]
    assert catalogue.backbone == tiny.backbone.sha256


async def test_a_catalogue_of_many_pages_is_read_whole_and_a_damaged_record_counts_as_none(redis_url: str) -> None:
    good = {f"item {number}": f'1-{number}\n{{"text": "text {number}", "newer": 1}}' for number in range(2500)}
    damaged = {"no json": "1-1\n{", "no text": "1-2\n{}", "nothing": "", "only space": '1-3\n{"text": "  "}'}
    with Redis.from_url(redis_url) as redis:
        redis.hset("vqrec:{shop}:items", mapping={**good, **damaged})
        redis.hset("vqrec:{shop}:vectors", "item 7", b"\x00\x3c")
    catalogue = await asyncio.to_thread(read_catalogue, redis_url, "shop")
    assert catalogue.items.item_ids == tuple(sorted(good))
    assert catalogue.items.texts == [item_id.replace("item", "text") for item_id in sorted(good)]
    vectors = dict(zip(catalogue.items.item_ids, catalogue.vectors, strict=True))
    assert vectors["item 7"] == b"\x00\x3c"
    assert sum(vector is not None for vector in vectors.values()) == 1
    assert catalogue.backbone is None


async def test_another_name_is_an_error_that_says_so(redis_url: str) -> None:
    with pytest.raises(DataError, match="no items of a domain 'elsewhere'"):
        await asyncio.to_thread(read_catalogue, redis_url, "elsewhere")


async def test_a_redis_that_is_not_there_is_an_error_without_the_password(tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none.sock", "redis://:secret@127.0.0.1:1"):
        with pytest.raises(ServiceError, match="Redis does not answer") as refused:
            read_catalogue(url, "shop")
        assert "secret" not in refused.value.detail
    for url in ("http://127.0.0.1", "redis://:secret/more@127.0.0.1:1"):
        with pytest.raises(DataError, match="not a Redis URL") as refused:
            read_catalogue(url, "shop")
        assert "secret" not in refused.value.detail


async def test_a_catalogue_and_a_table_make_the_data_set_that_their_folder_holds(shops: SmallShops) -> None:
    folder = shops.folders[0]
    joined = join_interactions(load_items(folder), folder / "interactions.parquet")
    assert joined.fingerprint == shops.dataset().fingerprint


async def test_interactions_that_are_no_table_or_of_another_shop_are_refused(shops: SmallShops, tmp_path: Path) -> None:
    items = load_items(shops.folders[0])
    with pytest.raises(DataError, match="there is no file"):
        join_interactions(items, tmp_path / "none.parquet")
    notes = tmp_path / "notes.md"
    notes.write_text("none")
    with pytest.raises(DataError, match="not a table"):
        join_interactions(items, notes)
    other = tmp_path / "log.2026.CSV"
    other.write_text("user_id,item_id,timestamp\nu,of-another-shop,1\n")
    with pytest.raises(DataError, match="no interaction with any of its items"):
        join_interactions(items, other)
