"""An adapter is swapped by one reference: no request fails, and no answer mixes two adapters."""

import asyncio
from pathlib import Path

import pytest

from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

SWAPS = 20
WORDS = ("hammer", "saw", "plane", "chisel", "vice", "file", "drill", "level", "clamp", "rasp")
TEXTS = {f"{first}-{second}": f"{first} with {second}" for first in WORDS for second in WORDS}
HISTORY = ["hammer-saw", "drill-file", "rasp-vice"]


@pytest.mark.parametrize("quantizer_seed", [0, 1], ids=["same quantiser", "another quantiser"])
async def test_two_adapters_to_and_fro_under_load(tmp_path: Path, quantizer_seed: int) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    adapters = [store.adapter, write_tiny_adapter(store, seed=1, quantizer_seed=quantizer_seed)]
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        await service.serve(adapters[0])
        await service.put_items(TEXTS)
        alone = {}
        for adapter in reversed(adapters):
            await service.serve(adapter)
            alone[adapter.version] = await service.recommended(HISTORY)
        assert alone[adapters[0].version] != alone[adapters[1].version]

        done = asyncio.Event()
        clients = [asyncio.create_task(_ask_until(done, service, alone)) for _ in range(4)]
        for swap in range(SWAPS):
            await service.serve(adapters[1 - swap % 2])
        done.set()
        seen = set().union(*await asyncio.gather(*clients))
        assert seen == alone.keys()


async def _ask_until(
    done: asyncio.Event, service: RunningService, alone: dict[str, list[tuple[str, float]]]
) -> set[str]:
    """Ask again and again; every answer is one adapter's alone. Returns the versions that answered."""
    seen = set()
    while not done.is_set():
        answer = await service.recommend(HISTORY)
        assert [(item["item_id"], item["score"]) for item in answer["items"]] == alone[answer["adapter_version"]]
        seen.add(answer["adapter_version"])
    return seen


async def test_items_put_during_swaps_are_all_there(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    adapters = [store.adapter, write_tiny_adapter(store, seed=1, quantizer_seed=1)]
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        await service.serve(adapters[0])

        async def put_one_by_one() -> None:
            for item_id, text in TEXTS.items():
                await service.put_items({item_id: text})
                assert service.state.registry.snapshot("shop").get(item_id) is not None

        writer = asyncio.create_task(put_one_by_one())
        for swap in range(6):
            await service.serve(adapters[1 - swap % 2])
        await writer
        assert {item.item_id for item in service.state.registry.snapshot("shop").items()} == TEXTS.keys()


async def test_a_swap_ends_while_writes_go_on_and_each_can_be_recommended_when_it_returns(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    adapters = [store.adapter, write_tiny_adapter(store, seed=1, quantizer_seed=1)]
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        await service.serve(adapters[0])
        await service.put_items(TEXTS)
        done, bulks = asyncio.Event(), 0
        written: asyncio.Queue[int] = asyncio.Queue()

        async def put_without_end(writer: int) -> None:
            nonlocal bulks
            while not done.is_set():
                bulks += 1
                texts = {f"{writer}-{bulks}-{number}": f"text {number} of {bulks}" for number in range(20)}
                await service.put_items(texts)
                snapshot = service.state.registry.snapshot("shop")
                assert all(snapshot.get(item_id) is not None for item_id in texts)
                written.put_nowait(writer)

        writers = [asyncio.create_task(put_without_end(writer)) for writer in range(4)]
        for swap in range(4):
            await service.serve(adapters[1 - swap % 2])
            for _ in writers:  # each goes on writing
                await asyncio.wait_for(written.get(), 60)
        done.set()
        await asyncio.gather(*writers)
        assert (await service.http.get("/readyz")).json() == {"status": "ready", "reasons": []}
