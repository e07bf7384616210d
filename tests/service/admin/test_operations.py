"""Operations that end before the call that began them is answered."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.admin.operations import Operation, Operations
from service.catalog.directory import DomainDirectory
from tests.running_service import make_settings, running_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio


async def test_an_operation_may_be_served_or_overtaken_before_it_is_stored(tiny: TinyStore, tmp_path: Path) -> None:
    async with running_service(make_settings(tiny.root, tmp_path)) as service:
        await service.serve(tiny.adapter)
        directory = DomainDirectory(service.state.redis)
        operations = Operations(service.state.redis, directory, service.state.registry, new_id=lambda: "new")
        served = await directory.get("shop")
        assert served is not None
        overtaken = replace(Operation.of(served), id="overtaken", revision=served.revision - 1, sha256="0" * 64)
        for operation in (Operation.of(served), overtaken):
            operations.take(operation)
        await operations.served(served)

        assert (await operations.store(Operation.of(served))).state == "succeeded"
        stored = await operations.store(overtaken)
        assert (stored.state, stored.error) == ("failed", f"the adapter {tiny.adapter.version} was chosen after it")
        assert await operations.get("overtaken") == stored
