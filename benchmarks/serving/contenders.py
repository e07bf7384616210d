"""Who serves the same requests: the service, and what a user would write or pick instead."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import psutil

from benchmarks.seeding import scratch_redis, seed
from benchmarks.serving import peer_litserve, peer_plain
from benchmarks.serving.catalogue import DOMAIN, Catalogue
from benchmarks.serving.sweep import server_process
from benchmarks.setting import Setting
from models.adapter import DomainAdapter
from models.cpu import available_cpus
from models.store import store_of
from training.local_service import local_process, serve_adapter


@dataclass(frozen=True)
class Contender:
    """A server and where it answers.

    Args:
        start: gives its processes while they run, each on a port of its own.
        first_rate: where its sweep begins.
    """

    name: str
    path: str
    start: Callable[[], Iterator[list[psutil.Process]]]
    first_rate: float


@dataclass(frozen=True, eq=False)
class Ground:
    """What all of them serve: an adapter, and the catalogue that ``folder`` holds as files."""

    setting: Setting
    adapter: Path
    folder: Path
    catalogue: Catalogue


def contenders(ground: Ground) -> list[Contender]:
    """One process with all cores, and one a core, of each that has such a choice."""
    cpus = available_cpus()
    path = f"/v1/domains/{DOMAIN}/recommendations"
    litserve = partial(_peer, ground, peer_litserve)
    plain = partial(_peer, ground, peer_plain)
    return [
        Contender("vqrec", path, partial(_service, ground, 1), 500.0),
        Contender(f"vqrec, {cpus} replicas", path, partial(_service, ground, cpus), 500.0),
        Contender("litserve, 1 worker", peer_litserve.PATH, partial(litserve, (cpus, 1)), 100.0),
        Contender(f"litserve, {cpus} workers", peer_litserve.PATH, partial(litserve, (1, cpus)), 100.0),
        Contender("plain fastapi", peer_plain.PATH, partial(plain, (cpus,)), 100.0),
        Contender(f"plain fastapi, {cpus} processes", peer_plain.PATH, partial(plain, (1,), cpus), 100.0),
    ]


def _service(ground: Ground, replicas: int) -> Iterator[list[psutil.Process]]:
    port, root = ground.setting.port, store_of(ground.adapter).root
    data = ground.setting.work / "serving-service"
    with scratch_redis() as url, ExitStack() as running:
        with local_process(root, data, port, {"REDIS_URL": url}) as empty:
            serve_adapter(empty.client, DOMAIN, ground.adapter)
        seed(url, DOMAIN, DomainAdapter.load(ground.adapter), ground.catalogue.records(), ground.catalogue.codes)
        variables = {"REDIS_URL": url, "VQREC_NETWORK_THREADS": str(max(1, available_cpus() // replicas))}
        services = [local_process(root, data / str(place), port + place, variables) for place in range(replicas)]
        yield [psutil.Process(running.enter_context(service).pid) for service in services]


def _peer(
    ground: Ground, module: ModuleType, options: tuple[int, ...], replicas: int = 1
) -> Iterator[list[psutil.Process]]:
    name = module.__name__
    first = ground.setting.port
    with ExitStack() as running:
        yield [
            running.enter_context(
                server_process(
                    [sys.executable, "-m", name, *map(str, (ground.adapter, ground.folder, port, *options))],
                    port,
                    ground.folder / f"{name.rpartition('.')[2]}.log",
                )
            )
            for port in range(first, first + replicas)
        ]
