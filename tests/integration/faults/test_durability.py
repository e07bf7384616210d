"""What an ingest call acknowledged is there, whatever was killed meanwhile and however often."""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.integration.faults.processes import RedisProcess, ServiceProcess
from tests.integration.faults.shop import assert_stored, changes, details, fresh_codes, put, put_one, texts
from tests.integration.faults.waiting import wait_until
from tests.running_service import make_settings, running_service
from tests.tiny_models import TinyStore
from training.local_service import serve_adapter

_CLIENTS = 4
_BULK = 20
_SEED = 5


class Feed:
    """Clients that put each item until it is acknowledged: some in bulks, the others one by one."""

    def __init__(self, service: ServiceProcess, items: dict[str, str]) -> None:
        self.acknowledged: set[str] = set()
        self.faults: list[str] = []
        self.refused = 0
        self._service, self._lock, self._given_up = service, Lock(), Event()
        shares = [dict(list(items.items())[start::_CLIENTS]) for start in range(_CLIENTS)]
        self._threads = [
            Thread(target=self._run, args=(share, _BULK if place % 2 else 1)) for place, share in enumerate(shares)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._given_up.set()
        for thread in self._threads:
            thread.join()

    def _run(self, share: dict[str, str], together: int) -> None:
        waiting = list(share.items())
        with httpx.Client(base_url=self._service.url, timeout=30) as http:
            while waiting and not self._given_up.is_set():
                part = dict(waiting[:together])
                if self._acknowledged(http, part):
                    with self._lock:
                        self.acknowledged |= part.keys()
                    del waiting[:together]
                else:
                    with self._lock:
                        self.refused += 1
                    self._given_up.wait(0.1)

    def _acknowledged(self, http: httpx.Client, part: dict[str, str]) -> bool:
        try:
            answer = put(http, part) if len(part) > 1 else put_one(http, *next(iter(part.items())))
        except httpx.TransportError:
            return False
        if answer.status_code not in (200, 201, 429, 503):
            self.faults.append(answer.text)
        return answer.is_success


@pytest.mark.timeout(3600)
def test_all_that_was_acknowledged_is_there_once_and_with_the_right_code(
    store: TinyStore, tmp_path: Path, full_size: bool
) -> None:
    items, kills = texts(10_000 if full_size else 300), 24 if full_size else 4
    chance, start = random.Random(_SEED), time.monotonic()  # noqa: S311 - nothing is kept secret by it
    with RedisProcess(tmp_path / "redis") as redis:
        environment = {"REDIS_URL": redis.url, "VQREC_STREAM_LENGTH": "1000000"}
        with ServiceProcess(store.root, tmp_path / "service", environment) as service:
            service.until_ready()
            serve_adapter(service.http, "shop", store.adapter.path)
            victims: list[RedisProcess | ServiceProcess] = [redis, service] * (kills // 2)
            chance.shuffle(victims)
            with Feed(service, items) as feed:
                for number, victim in enumerate(victims, start=1):
                    due = len(items) * number // (kills + 1)
                    wait_until(lambda due=due: len(feed.acknowledged) >= due, f"{due} items are acknowledged", 300)
                    _strike(victim, chance)
            assert feed.acknowledged == items.keys()
            assert feed.faults == []
            service.until_well()
            assert details(service.http)["items"] == len(items)
            assert_stored(redis.client, store, store.load_adapter(), items)
            assert set(changes(redis.client).values()) == {1}
        asyncio.run(_assert_served_by_another(store, tmp_path, redis.url, items))
    print(
        f"\n{len(items)} items acknowledged in {time.monotonic() - start:.0f} s while {_told(victims)} were killed; "
        f"{feed.refused} calls were refused or broken off and repeated"
    )


def _strike(victim: RedisProcess | ServiceProcess, chance: random.Random) -> None:
    Event().wait(chance.uniform(0, 0.2))  # at any point of what is under way
    victim.kill()
    Event().wait(chance.uniform(0, 0.2))
    victim.start()


async def _assert_served_by_another(store: TinyStore, folder: Path, url: str, items: dict[str, str]) -> None:
    """A replica that is started now serves each item once, with the code that its text has."""
    settings = make_settings(store.root, folder / "another", redis_url=url)
    async with running_service(settings) as another:
        await another.until_ready()
        served = list(another.state.registry.snapshot("shop").items())
    codes = fresh_codes(store, store.load_adapter(), items)
    layout = store.load_adapter().quantizer.layout
    assert len(served) == len(items)
    assert {item.item_id: layout.to_bytes(item.code[None])[0] for item in served} == {
        item_id: code[8:] for item_id, code in codes.items()
    }


def _told(victims: Sequence[object]) -> str:
    services = sum(isinstance(victim, ServiceProcess) for victim in victims)
    return f"the service {services} times and Redis {len(victims) - services} times"
