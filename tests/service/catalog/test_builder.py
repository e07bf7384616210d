"""What a replica must show before it serves, and how it takes over."""

import gc
import weakref
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.errors import InvalidArtifactError
from models.table import CodeTable
from service.catalog.builder import ReplicaBuilder, check_answers
from service.catalog.item import CatalogueItem
from service.catalog.record import ItemRecord
from service.catalog.replica import ReplicaContext
from service.catalog.repository import ItemWrite
from service.catalog.snapshot import DomainSnapshot
from service.catalog.sources import AdapterSources
from service.inference.runtime import RuntimeProvider
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import LAYOUT, TinyStore, write_tiny_adapter, write_tiny_store


class UncheckedTable(CodeTable):
    """A table that was not looked at when it was read."""

    def __post_init__(self) -> None:
        """Accept any rows."""


def snapshot_of(adapter: DomainAdapter, available: int = 30) -> DomainSnapshot:
    codes = np.random.default_rng(0).integers(0, LAYOUT.codebook_size, (30, LAYOUT.num_codebooks))
    return DomainSnapshot.build(
        adapter,
        [
            CatalogueItem(f"i{number}", code.astype(LAYOUT.dtype), available=number < available)
            for number, code in enumerate(codes)
        ],
    )


@pytest.fixture
def backbone(tiny: TinyStore) -> Backbone:
    return Backbone.load(tiny.backbone.path, threads=1)


@pytest.mark.parametrize("available", [0, 1, 30])
def test_a_snapshot_that_recommends_what_there_is_passes(tiny: TinyStore, backbone: Backbone, available: int) -> None:
    check_answers(snapshot_of(tiny.load_adapter(), available), backbone)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_table_whose_means_overflow_does_not_pass(tiny: TinyStore, backbone: Backbone) -> None:
    adapter = tiny.load_adapter()
    rows = np.full_like(adapter.table.rows, 3e38)
    broken = replace(adapter, table=UncheckedTable(LAYOUT, rows))
    with pytest.raises(InvalidArtifactError, match="not finite"):
        check_answers(snapshot_of(broken), backbone)
    rows[0], rows[1:] = np.nan, adapter.table.rows[1:]  # few items alone are lost
    with pytest.raises(InvalidArtifactError, match="not finite"):
        check_answers(snapshot_of(broken), backbone)


@pytest.mark.anyio
async def test_what_was_replaced_is_let_go(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        await service.serve(store.adapter)
        gc.disable()  # what only a search for cycles frees may stay for minutes
        try:
            replica = weakref.ref(service.state.registry.replica("shop"))
            await service.serve(write_tiny_adapter(store, seed=1))

            async def gone() -> bool:
                return replica() is None

            await until(gone)
        finally:
            gc.enable()


@pytest.mark.anyio
async def test_what_was_overtaken_follows_no_further(shop: RunningService, tiny: TinyStore) -> None:
    previous = shop.state.registry.replica("shop")
    context: ReplicaContext = previous._context
    sources = AdapterSources(tiny.store, tiny.root / "cache", (), 0)
    builder = ReplicaBuilder(sources, RuntimeProvider(tiny.store, *[None] * 3), context)  # type: ignore[arg-type]
    successor = await builder.compact(previous)
    position = previous.position
    assert successor.position == position
    repository = context.repository("shop")
    quantizer = previous.adapter.quantizer
    for number in range(30):
        record = ItemRecord(
            text=str(number), text_sha256=sha256(b"%d" % number).hexdigest(), attributes={}, available=True
        )
        code = bytes(quantizer.layout.bytes_per_code)
        (change,) = await repository.put(quantizer.sha256, [ItemWrite(str(number), record, b"", b"\0" * 32, code)])
        assert change is not None
        assert await successor.reached(change)
    assert previous.position == position
    await successor.stop()
