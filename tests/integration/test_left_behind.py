"""What a process holds is the same after many swaps, and after many domains that came and went."""

import asyncio
import gc
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from types import CoroutineType, GeneratorType, TracebackType

import pytest
from redis.asyncio.connection import AbstractConnection

from models.bundle import Bundle
from models.manifest import AdapterManifest
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_store

pytestmark = pytest.mark.anyio

ROUNDS = 12
_WARM_UP = 2
_SAMPLES = 8
_MOST_SAMPLES = 100
_POLL_SECONDS = 0.05
_OURS = ("service.", "models.", "prometheus_client.", "redis.commands.")
_RUNNING = (CoroutineType, GeneratorType, TracebackType, asyncio.Task)
_CONTAINERS = (dict, set, frozenset, list, deque)
_POOL = "asyncio_"  # threads of the loop's own pool, which come as they are first needed and are few

Round = Callable[[int], Awaitable[None]]


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts")


@pytest.fixture(autouse=True)
def looking_at_nothing_else() -> Iterator[None]:
    """What was there before the service is not looked through, which would take most of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def service(store: TinyStore, tmp_path: Path) -> AsyncIterator[RunningService]:
    async with running_service(make_settings(store.root, tmp_path / "data")) as running:
        await running.serve(store.adapter)
        await running.put_items({f"item {number}": f"thing {number}" for number in range(20)})
        yield running


async def test_swaps_and_rollbacks_leave_nothing_behind(service: RunningService, store: TinyStore) -> None:
    others = [write_tiny_adapter(store, seed=1), write_tiny_adapter(store, seed=2, quantizer_seed=1)]

    async def to_another_and_back(number: int) -> None:
        await service.serve(others[number % len(others)])
        assert await service.recommended(["item 1"])
        answer = await service.http.post("/v1/admin/domains/shop/adapter:rollback")
        await service.until_finished(answer.headers["location"])

    await assert_nothing_is_left_behind(service, to_another_and_back)


async def test_domains_leave_nothing_behind(service: RunningService, store: TinyStore) -> None:
    async def come_and_go(number: int) -> None:
        name = f"passing-{number}"
        await service.serve(store.adapter, name)
        await service.put_items({"one": "a thing", "two": "another"}, name)
        assert await service.recommended(["one"], name)
        await deleted(service, name)

    await assert_nothing_is_left_behind(service, come_and_go)


async def test_domains_that_were_never_served_leave_nothing_behind(service: RunningService, store: TinyStore) -> None:
    async def go_at_once(number: int) -> None:
        name = f"never-{number}"
        await chosen(service, store.adapter, name)
        await deleted(service, name)

    await assert_nothing_is_left_behind(service, go_at_once)


async def test_items_leave_nothing_behind(service: RunningService, store: TinyStore) -> None:
    async def come_and_go(number: int) -> None:
        names = [f"passing {number} {place}" for place in range(5)]
        await service.put_items({name: f"{name} thing" for name in names})
        assert await service.recommended([names[0]])
        for name in names:
            assert (await service.http.delete(f"/v1/domains/shop/items/{name}")).status_code == 204

    await assert_nothing_is_left_behind(service, come_and_go)


async def chosen(service: RunningService, adapter: Bundle[AdapterManifest], domain: str) -> None:
    source = f"adapters/shop/{adapter.version}"
    answer = await service.http.put(f"/v1/admin/domains/{domain}/adapter", json={"source": source})
    assert answer.status_code == 202, answer.text


async def deleted(service: RunningService, domain: str) -> None:
    assert (await service.http.delete(f"/v1/admin/domains/{domain}")).status_code == 204


async def assert_nothing_is_left_behind(service: RunningService, round_of: Round) -> None:
    """After many rounds the process must hold no more of anything than after the first few."""
    numbers = count()
    for _ in range(_WARM_UP):
        await round_of(next(numbers))
    await until_quiet(service)
    before: Counter[str] = Counter()
    for _ in range(_SAMPLES):
        before |= held(service)  # the most of each: what runs at all times is now here, now there
        await asyncio.sleep(_POLL_SECONDS)
    for _ in range(ROUNDS):
        await round_of(next(numbers))
    await until_quiet(service)
    for _ in range(_MOST_SAMPLES):
        if not (more := held(service) - before):
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise AssertionError(f"{ROUNDS} rounds left behind {dict(more)}")


async def until_quiet(service: RunningService) -> None:
    """Wait until nothing is built, and nothing read from Redis but what is always waited for."""

    async def quiet() -> bool:
        names = {task.get_name().split()[0] for task in asyncio.all_tasks()}
        reads = len(service.state.redis._under_way)
        return "build" not in names and reads <= 1 + len(service.state.registry.domains)

    await until(quiet)


def held(service: RunningService) -> Counter[str]:
    """How many there are of our own objects, of what they hold in containers, of all that runs or is open."""
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name.startswith(_OURS):
            found[name] += 1
            found.update({f"{name}.{held_as}": size for held_as, size in containers_of(thing)})
        elif kind in _RUNNING:
            found[kind.__name__] += 1
        elif issubclass(kind, AbstractConnection):
            found["open files"] -= thing.is_connected  # pooled, and as many as followers stopped within a second
    found["open files"] += len(list(Path("/dev/fd").iterdir()))
    found["series"] = sum(len(metric.samples) for metric in service.state.metrics.registry.collect())
    found.update(f"thread {thread.name}" for thread in threading.enumerate() if not thread.name.startswith(_POOL))
    return found


def containers_of(thing: object) -> Iterator[tuple[str, int]]:
    """The attributes that are containers, and their sizes."""
    for name in [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]:
        value = getattr(thing, name, None)
        if isinstance(value, _CONTAINERS):
            yield name, len(value)
