"""Operations that end before the call that began them is answered."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.admin.operations import Operation, Operations
from service.catalog.directory import AdapterChoice, DomainDirectory, WantedDomain
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


async def test_operations_of_domains_that_are_gone_are_forgotten(tiny: TinyStore, tmp_path: Path) -> None:
    async with running_service(make_settings(tiny.root, tmp_path)) as service:
        operations = service.state.reconciler._observer
        assert isinstance(operations, Operations)
        choice = WantedDomain("gone", "incarnation", 2, "second", AdapterChoice("a", "0" * 64), None)
        older, failed = replace(Operation.of(choice), id="first", revision=1), Operation.of(choice)
        operations.take(older)
        operations.chosen(older.id)
        operations.take(failed)
        for _ in range(2):
            operations.listed([choice])
        await operations.failed(choice, "it is damaged")
        assert list(operations._taken) == [failed.id], "an older one is overtaken, this one may be served yet"

        for _ in range(2):
            operations.listed([])
        assert list(operations._taken) == [failed.id], "its choice may be written any moment"
        operations.chosen(failed.id)
        operations.listed([])
        assert list(operations._taken) == [failed.id], "it may have been written after the domains were read"
        operations.listed([])
        assert not operations._taken
        assert (await operations.get(failed.id)).error == "it is damaged"
