"""Requests a second at a 99th percentile of 25 ms: the service, LitServe, plain FastAPI, and the engine alone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil

from benchmarks.seeding import scratch_redis, seed
from benchmarks.serving import peer_litserve, peer_plain
from benchmarks.serving.catalogue import DOMAIN, Catalogue
from benchmarks.serving.load import Load
from benchmarks.serving.sweep import Point, measure, server_process, sweep
from benchmarks.setting import Setting, read_setting
from models.adapter import DomainAdapter
from models.cpu import available_cpus
from models.store import ArtifactStore, store_of
from training.evaluate import ServedModel
from training.local_service import local_process, serve_adapter

_COMPARED = 200  # answers of each server that are held against the service's
_SAME = 1e-4  # of a score, where the servers round in another order


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


def main() -> None:
    setting = read_setting("serving", __doc__ or "")
    dataset = setting.dataset(DOMAIN)
    adapter = setting.adapter(dataset, DOMAIN, ArtifactStore(setting.artifacts))
    folder = setting.work / "serving"
    catalogue = Catalogue.build(setting, dataset, ServedModel.load(adapter))
    catalogue.save(folder)
    seconds = 2.0 if setting.quick else 6.0
    bare = _bare(adapter, folder, seconds)
    bound = max(run["queries_per_second"] for run in bare)
    answers: dict[str, list[list[float]]] = {}
    points: dict[str, list[Point]] = {}
    best: dict[str, Point | None] = {}
    for contender in _contenders(setting, adapter, folder, catalogue):
        with contextmanager(contender.start)() as servers:
            ports = tuple(range(setting.port, setting.port + len(servers)))
            send = partial(Load, ports, contender.path, str(folder / "bodies.jsonl"), seconds=seconds)
            answers[contender.name] = _scores(setting.port, contender.path, catalogue)

            def at(rate: float, send: Callable[..., Load] = send, servers: list[psutil.Process] = servers) -> Point:
                return measure(send(rate=rate), servers)

            points[contender.name], best[contender.name] = sweep(at, contender.first_rate)
    ours = max((point.rate for name, point in best.items() if point and name.startswith("vqrec")), default=0.0)
    rows = [_row(name, point, ours) for name, point in best.items()]
    facts = {
        "items": len(catalogue.items),
        "histories": len(catalogue.histories),
        "bare engine, queries a second": round(bound),
        "share of the bare engine": round(ours / bound, 3),
        "answers that differ from the service's": {name: _different(answers, name) for name in answers},
    }
    series = {"bare": bare, "points": [{"server": name, **asdict(point)} for name in points for point in points[name]]}
    setting.report(
        ("server", "requests/s", "p50", "p99", "server cpu", "generator cpu", "ours is"), rows, facts, series
    )


def _contenders(setting: Setting, adapter: Path, folder: Path, catalogue: Catalogue) -> list[Contender]:
    cpus = available_cpus()
    python = [sys.executable, "-m"]

    def service(replicas: int) -> Iterator[list[psutil.Process]]:
        store, data = store_of(adapter), setting.work / "serving-service"
        with scratch_redis() as url, ExitStack() as running:
            with local_process(store.root, data, setting.port, {"REDIS_URL": url}) as empty:
                serve_adapter(empty.client, DOMAIN, adapter)
            seed(url, DOMAIN, DomainAdapter.load(adapter), catalogue.records(), catalogue.codes)
            threads = {"VQREC_NETWORK_THREADS": str(max(1, cpus // replicas))}
            yield [
                psutil.Process(
                    running.enter_context(
                        local_process(
                            store.root, data / str(number), setting.port + number, {"REDIS_URL": url, **threads}
                        )
                    ).pid
                )
                for number in range(replicas)
            ]

    def peer(module: str, *more: object, replicas: int = 1) -> Callable[[], Iterator[list[psutil.Process]]]:
        def start() -> Iterator[list[psutil.Process]]:
            with ExitStack() as running:
                yield [
                    running.enter_context(
                        server_process(
                            [
                                *python,
                                f"benchmarks.serving.{module}",
                                str(adapter),
                                str(folder),
                                str(port),
                                *map(str, more),
                            ],
                            port,
                            folder / f"{module}.log",
                        )
                    )
                    for port in range(setting.port, setting.port + replicas)
                ]

        return start

    path = f"/v1/domains/{DOMAIN}/recommendations"
    return [
        Contender("vqrec", path, partial(service, 1), 500.0),
        Contender(f"vqrec, {cpus} replicas", path, partial(service, cpus), 500.0),
        Contender("litserve, 1 worker", peer_litserve.PATH, peer("peer_litserve", cpus, 1), 100.0),
        Contender(f"litserve, {cpus} workers", peer_litserve.PATH, peer("peer_litserve", 1, cpus), 100.0),
        Contender("plain fastapi", peer_plain.PATH, peer("peer_plain", cpus), 100.0),
        Contender(f"plain fastapi, {cpus} processes", peer_plain.PATH, peer("peer_plain", 1, replicas=cpus), 100.0),
    ]


def _bare(adapter: Path, folder: Path, seconds: float) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(adapter), str(folder), str(seconds)]
    runs: list[dict[str, float]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return runs


def _scores(port: int, path: str, catalogue: Catalogue) -> list[list[float]]:
    """The scores that the server gives to the first histories; ids may differ where items have one code."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        bodies = catalogue.bodies()[:_COMPARED]
        answers = [
            client.post(path, content=body, headers={"content-type": "application/json"}).raise_for_status()
            for body in bodies
        ]
    return [[item["score"] for item in answer.json()["items"]] for answer in answers]


def _different(answers: dict[str, list[list[float]]], name: str) -> int:
    pairs = zip(answers["vqrec"], answers[name], strict=True)
    return sum(
        len(one) != len(other) or any(abs(a - b) > _SAME for a, b in zip(one, other, strict=True))
        for one, other in pairs
    )


def _row(name: str, point: Point | None, ours: float) -> tuple[object, ...]:
    if point is None:
        return (name, None, None, None, None, None, None)
    latency = point.milliseconds
    ratio = ours / point.rate
    return (name, point.rate, latency["p50"], latency["p99"], point.server_share, point.generator_share, ratio)


if __name__ == "__main__":
    main()
