"""The bound: the service's own engine in a batched loop without HTTP, on every thread that may compute.

``python -m benchmarks.serving.bare ADAPTER CATALOGUE SECONDS`` prints queries a second by how it was run, as JSON.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.catalogue import LIMIT
from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.cpu import available_cpus
from models.store import store_of
from service.catalog.item import CatalogueItem
from service.catalog.snapshot import DomainSnapshot
from service.inference.batcher import BatcherConfig
from service.inference.recommender import Job, Query, Recommender
from service.metrics import Metrics

BATCHES = (16, 32, 64)
_QUERIES = 4096


@dataclass(frozen=True)
class Bare:
    """Queries a second of the engine alone.

    Args:
        loops: threads that each compute a batch at a time.
        threads: of the network within each.
        batch: queries in a batch.
    """

    loops: int
    threads: int
    batch: int
    queries_per_second: float


def measure(adapter_path: Path, catalogue: Path, seconds: float) -> list[Bare]:
    """The engine with as many loops as processors, and with one loop whose network uses all of them."""
    cpus = available_cpus()
    ways = {(cpus, 1), (1, cpus)}
    adapter = DomainAdapter.load(adapter_path)
    snapshot = _snapshot(adapter, catalogue)
    return [
        Bare(
            loops,
            threads,
            batch,
            _rate(_recommender(adapter_path, threads), _jobs(snapshot, catalogue), loops, batch, seconds),
        )
        for loops, threads in sorted(ways)
        for batch in BATCHES
    ]


def _rate(recommender: Recommender, jobs: Sequence[Job], loops: int, batch: int, seconds: float) -> float:
    batches = [jobs[start : start + batch] for start in range(0, len(jobs) - batch + 1, batch)]

    def loop(number: int, end: float) -> int:
        place, done = number, 0
        while time.perf_counter() < end:
            done += len(recommender.answer(batches[place % len(batches)]))
            place += loops
        return done

    with ThreadPoolExecutor(loops) as pool:
        for length in (seconds / 4, seconds):  # the first to warm up
            start = time.perf_counter()
            done = sum(pool.map(loop, range(loops), [start + length] * loops))
            rate = done / (time.perf_counter() - start)
    return rate


def _recommender(adapter_path: Path, threads: int) -> Recommender:
    store, sha256 = store_of(adapter_path), DomainAdapter.load(adapter_path).bundle.manifest.backbone
    network = Backbone.load(store.find(store.backbones, sha256), threads, sha256).network
    network.warm_up()
    return Recommender(network, ThreadPoolExecutor(1), Metrics(), BatcherConfig())


def _snapshot(adapter: DomainAdapter, catalogue: Path) -> DomainSnapshot:
    ids, codes = json.loads((catalogue / "ids.json").read_text()), np.load(catalogue / "codes.npy")
    return DomainSnapshot.build(adapter, [CatalogueItem(*item, {}) for item in zip(ids, codes, strict=True)])


def _jobs(snapshot: DomainSnapshot, catalogue: Path) -> list[Job]:
    """What the service makes of the requests, their histories looked up already."""
    jobs: list[Job] = []
    for line in (catalogue / "bodies.jsonl").read_text().splitlines()[:_QUERIES]:
        history = json.loads(line)["history"]
        seen = frozenset(history)
        jobs.append((snapshot, Query("next", LIMIT, snapshot.codes(history)[0][-50:], None, seen, seen)))
    return jobs


def main(adapter: str, catalogue: str, seconds: str) -> None:
    print(json.dumps([vars(bare) for bare in measure(Path(adapter), Path(catalogue), float(seconds))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
