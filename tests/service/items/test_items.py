"""Items over REST: what a write answers, and what is served when it returns."""

import asyncio
import json

import pytest

from models.errors import InvalidArtifactError
from models.text_encoder import TextEncoder
from tests.running_service import RunningService, until

pytestmark = pytest.mark.anyio

ITEMS = "/v1/domains/shop/items"


def encoded(service: RunningService) -> float:
    """How many texts the service has encoded."""
    samples = service.state.metrics.registry.get_sample_value("vqrec_batch_size_sum", {"queue": "text"})
    return samples or 0.0


async def test_an_item_can_be_recommended_when_the_call_returns(shop: RunningService) -> None:
    answer = await shop.http.put(f"{ITEMS}/new", json={"title": "a new", "categories": ["tool", "wood"]})
    assert answer.status_code == 201
    assert answer.json()["status"] == "created"
    assert "new" in dict(await shop.recommended(["hammer"]))


async def test_the_same_again_is_unchanged_and_not_encoded(shop: RunningService) -> None:
    body = {"text": "a  new", "attributes": {"price": 3, "sizes": ["s", "m"]}}
    first = (await shop.http.put(f"{ITEMS}/new", json=body)).json()
    before = encoded(shop)
    again = await shop.http.put(f"{ITEMS}/new", json={**body, "text": "a new", "item_id": "new"})
    assert (again.status_code, again.json()) == (200, {**first, "status": "unchanged"})
    assert encoded(shop) == before


async def test_other_attributes_are_an_update_without_encoding(shop: RunningService) -> None:
    before = encoded(shop)
    answer = await shop.http.put(f"{ITEMS}/saw", json={"text": "saw of wood", "attributes": {"in_stock": True}})
    assert answer.json()["status"] == "updated"
    assert encoded(shop) == before
    found = await shop.recommend(["hammer"], filter={"in_stock": True})
    assert [item["item_id"] for item in found["items"]] == ["saw"]


async def test_one_and_true_are_not_the_same(shop: RunningService) -> None:
    for value in (1, True, 1.0, "1"):
        answer = await shop.http.put(f"{ITEMS}/saw", json={"text": "saw of wood", "attributes": {"a": value}})
        assert answer.json()["status"] == "updated"
        assert json.dumps((await shop.http.get(f"{ITEMS}/saw")).json()["attributes"]["a"]) == json.dumps(value)


async def test_another_text_makes_another_code(shop: RunningService) -> None:
    before = dict(await shop.recommended(["hammer"]))
    assert (await shop.http.put(f"{ITEMS}/saw", json={"text": "something else entirely"})).json()["status"] == "updated"
    assert dict(await shop.recommended(["hammer"]))["saw"] != before["saw"]


async def test_a_patch_merges_and_null_deletes(shop: RunningService) -> None:
    await shop.http.put(f"{ITEMS}/saw", json={"text": "saw of wood", "attributes": {"a": 1, "b": 2}})
    answer = await shop.http.patch(f"{ITEMS}/saw", json={"attributes": {"a": None, "c": 3}})
    assert answer.json()["status"] == "updated"
    assert (await shop.http.get(f"{ITEMS}/saw")).json()["attributes"] == {"b": 2, "c": 3}
    again = await shop.http.patch(f"{ITEMS}/saw", json={"attributes": {"a": None, "c": 3}})
    assert again.json() == {**answer.json(), "status": "unchanged"}


async def test_what_is_not_available_is_not_recommended(shop: RunningService) -> None:
    await shop.http.patch(f"{ITEMS}/saw", json={"available": False})
    assert "saw" not in dict(await shop.recommended(["hammer"]))
    await shop.http.patch(f"{ITEMS}/saw", json={"available": True})
    assert "saw" in dict(await shop.recommended(["hammer"]))


async def test_a_deleted_item_is_gone(shop: RunningService) -> None:
    assert (await shop.http.delete(f"{ITEMS}/saw")).status_code == 204
    assert "saw" not in dict(await shop.recommended(["hammer"]))
    assert (await shop.http.get(f"{ITEMS}/saw")).status_code == 404
    assert (await shop.recommend(["saw"]))["unknown_history_items"] == ["saw"]


@pytest.mark.parametrize("raw", [b"", b"no record", b"\xff\n{}", b'7-0\n{"text": "a"}'])
async def test_a_damaged_record_is_as_none_and_can_be_written_anew(shop: RunningService, raw: bytes) -> None:
    redis = shop.state.redis
    await redis.run(redis.commands.hset("vqrec:{shop}:items", "saw", raw))
    assert (await shop.http.get(f"{ITEMS}/saw")).status_code == 404
    assert (await shop.http.patch(f"{ITEMS}/saw", json={"available": True})).status_code == 404
    items = [{"item_id": item_id, "text": "something else entirely"} for item_id in ("new", "saw")]
    answer = (await shop.http.post(f"{ITEMS}:bulk", json=items)).json()
    assert [result["status"] for result in answer["results"]] == ["created", "created"]
    found = dict(await shop.recommended(["hammer"]))
    assert found["saw"] == found["new"]
    assert (await shop.http.get(f"{ITEMS}/saw")).json()["text"] == "something else entirely"


async def test_parts_that_are_too_long_together_are_cut(shop: RunningService) -> None:
    parts = {"title": "x" * 15_000, "description": "y" * 15_000}
    assert (await shop.http.put(f"{ITEMS}/long", json=parts)).status_code == 201
    assert len((await shop.http.get(f"{ITEMS}/long")).json()["text"]) == 20_000


async def test_an_id_that_no_item_can_have_is_unknown_in_a_history(shop: RunningService) -> None:
    ids = ["", "a" * 4096, "\0"]
    assert (await shop.recommend([*ids, "hammer"]))["unknown_history_items"] == ids


@pytest.mark.parametrize("item_id", ["a/b", "näme", "名前", "a b", "100%", "a/similar/b", "?x=1"])
async def test_an_id_may_hold_any_readable_sign(shop: RunningService, item_id: str) -> None:
    await shop.put_items({item_id: "an item"})
    quoted = "".join(f"%{byte:02X}" for byte in item_id.encode())
    assert (await shop.http.get(f"{ITEMS}/{quoted}")).json()["item_id"] == item_id
    assert (await shop.http.delete(f"{ITEMS}/{quoted}")).status_code == 204


async def test_of_two_with_one_id_in_a_bulk_the_last_wins_and_both_are_reported(shop: RunningService) -> None:
    items = [{"item_id": "new", "text": text} for text in ("one", "two", "two")]
    answer = (await shop.http.post(f"{ITEMS}:bulk", json=items)).json()
    assert [result["status"] for result in answer["results"]] == ["created", "updated", "unchanged"]
    assert len({result["version"] for result in answer["results"]}) == 1
    assert (await shop.http.get(f"{ITEMS}/new")).json()["text"] == "two"


async def test_a_bulk_larger_than_a_chunk_is_served_when_it_returns(shop: RunningService) -> None:
    texts = {f"item-{number}": f"text {number}" for number in range(700)}
    await shop.put_items(texts)
    assert (await shop.http.get("/v1/domains/shop")).json()["items"] == len(texts) + 5
    before = encoded(shop)
    items = [{"item_id": item_id, "text": text} for item_id, text in texts.items()]
    assert (await shop.http.post(f"{ITEMS}:bulk", json=items)).json()["unchanged"] == len(texts)
    assert encoded(shop) == before


async def test_a_bulk_of_which_a_part_cannot_be_encoded_fails_and_can_be_repeated(
    shop: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [{"item_id": f"item-{number}", "text": f"text {number}"} for number in range(400)]

    def tokenize(_: TextEncoder, texts: list[str]) -> list[list[int]]:
        raise InvalidArtifactError("broken") if "text 399" in texts else ValueError("also broken")

    with monkeypatch.context() as broken:
        broken.setattr("models.text_encoder.TextEncoder.tokenize", tokenize)
        assert (await shop.http.post(f"{ITEMS}:bulk", json=items)).status_code == 500
    answer = (await shop.http.post(f"{ITEMS}:bulk", json=items)).json()
    assert answer["created"] + answer["unchanged"] == 400


async def test_writes_go_on_when_redis_has_forgotten_the_scripts(shop: RunningService) -> None:
    await shop.put_items({"a": "one"})
    redis = shop.state.redis
    await redis.run(redis.commands.script_flush())
    await shop.put_items({f"item-{number}": f"text {number}" for number in range(300)})
    assert (await shop.http.get("/v1/domains/shop")).json()["items"] == 306


async def test_writers_of_one_item_do_not_lose_each_others_patches(shop: RunningService) -> None:
    patches = [shop.http.patch(f"{ITEMS}/saw", json={"attributes": {f"a{number}": number}}) for number in range(8)]
    assert {answer.status_code for answer in await asyncio.gather(*patches)} == {200}
    stored = (await shop.http.get(f"{ITEMS}/saw")).json()["attributes"]
    assert stored == {f"a{number}": number for number in range(8)}
    served = shop.state.registry.snapshot("shop").get("saw")
    assert served is not None
    assert dict(served.attributes) == stored


async def test_a_caller_that_goes_away_leaves_nothing_half_done(shop: RunningService) -> None:
    call = asyncio.create_task(shop.http.put(f"{ITEMS}/new", json={"text": "new"}))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert (await shop.http.put(f"{ITEMS}/new", json={"text": "new"})).status_code in (200, 201)
    assert "new" in dict(await shop.recommended(["hammer"]))


async def test_many_small_changes_are_folded_into_one_segment(shop: RunningService) -> None:
    await shop.put_items({f"item-{number}": f"text {number}" for number in range(1200)})
    replica = shop.state.registry.replica("shop")

    async def compacted() -> bool:
        return shop.state.registry.replica("shop") is not replica

    await until(compacted)
    snapshot = shop.state.registry.snapshot("shop")
    assert len(snapshot) == 1205
    # It begins when there are 1,025, and those that came meanwhile are fresh.
    assert len(snapshot.fresh) <= 1205 - 1025
