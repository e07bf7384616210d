"""The threads of the event loop."""

import asyncio
from pathlib import Path
from threading import Barrier, Thread, enumerate, get_ident  # noqa: A004  (of threads)

import pytest

from models.cpu import available_cpus
from service.blocking_threads import start_blocking_threads
from tests.running_service import make_settings, running_service
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio

COUNT = 5


def threads_of(loops: set[Thread]) -> set[Thread]:
    """The threads that are there, and were not before."""
    return {thread for thread in enumerate() if thread.name.startswith("blocking")} - loops


async def test_all_are_there_from_the_start_and_do_what_is_asked_for() -> None:
    before = threads_of(set())
    start_blocking_threads(COUNT)
    started = threads_of(before)
    together = Barrier(COUNT)

    def met() -> int:
        together.wait(30)
        return get_ident()

    for _ in range(3):
        used = await asyncio.gather(*(asyncio.to_thread(met) for _ in range(COUNT)))
        assert set(used) == {thread.ident for thread in started}
    assert threads_of(before) == started
    assert len(started) == COUNT


async def test_the_service_has_some_for_each_processor(tiny: TinyStore, tmp_path: Path) -> None:
    before = threads_of(set())
    async with running_service(make_settings(tiny.root, tmp_path)):
        assert len(threads_of(before)) > available_cpus()
