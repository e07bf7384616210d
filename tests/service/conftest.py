"""A running service for the tests of its parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore


@pytest.fixture
async def service(tiny: TinyStore, tmp_path: Path) -> AsyncIterator[RunningService]:
    """A service without domains."""
    async with running_service(make_settings(tiny.root, tmp_path / "data")) as running:
        await running.until_ready()
        yield running


@pytest.fixture
async def shop(service: RunningService, tiny: TinyStore) -> RunningService:
    """A service with the domain ``shop`` and five items."""
    await service.serve(tiny.adapter)
    await service.put_items({name: f"{name} of wood" for name in ("hammer", "saw", "plane", "chisel", "vice")})
    return service
