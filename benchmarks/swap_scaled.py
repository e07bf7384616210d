"""A table swapped in a service with a large catalogue: how soon it serves, at what recall, and what callers feel."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import numpy as np

from benchmarks.contender import K, Question
from benchmarks.index_peers import LARGEST_WITH_PEERS, Workshop
from benchmarks.large_service import LargeCatalogue, large_catalogue
from benchmarks.loading import loading
from benchmarks.scaled import DOMAIN
from benchmarks.seeding import scratch_redis
from benchmarks.serving.load import Load
from benchmarks.setting import Setting
from models.cpu import available_cpus
from models.store import ArtifactStore
from training.adapt import adapt
from training.config import TrainingConfig
from training.evaluate import ServedModel
from training.histories import Histories, offsets_of
from training.local_service import checked, local_process, serve_adapter
from training.loop import FitConfig

RATE = 50.0
"""Requests a second that come in while adapters are swapped."""

_PATH = f"/v1/domains/{DOMAIN}/recommendations"
_IDLE_SWAPS = 5
_HISTORIES = 200
_SECONDS = 20.0
_QUICK_SECONDS = 5.0
_SERVED_WITHIN = 600.0
_READY_WITHIN = 900.0
_REQUESTS_PER_CALL = 50


@dataclass(frozen=True)
class Swap:
    """Seconds from the call until an answer came from the new adapter, and the recall of the first answers then."""

    seconds: float
    recall: float


@dataclass(frozen=True, eq=False)
class Expectation:
    """What an adapter shall answer: its version, and the question that its recall is measured by."""

    path: Path
    version: str
    question: Question


def measure_scaled(setting: Setting, sizes: Sequence[int]) -> None:
    """Measure each size and report."""
    rows = []
    for n in sizes:
        print(f"{n} items", flush=True)
        rows.append((n, *_measure(setting, large_catalogue(setting, n))))
    columns = ("items", "swap s", "slowest s", "recall@50", "loaded swap s", "slowest loaded s", "loaded swaps",
               "HNSW build s", "x sooner", "p99 ms before", "p99 ms during", "ratio", "failed",
               "generator's core")  # fmt: skip
    facts = {
        "swap s": f"median of {_IDLE_SWAPS}, from the call until an answer came from the new adapter",
        "recall@50": "lowest after any of those, of the first answers, against every item scored under the new table",
        "loaded": f"while {RATE:g} requests a second come in, open loop, one swap after another",
        "HNSW build s": "FAISS, M=32, efConstruction=200: its processor seconds shared evenly by all cores",
    }
    setting.report(columns, rows, facts)


def _measure(setting: Setting, catalogue: LargeCatalogue) -> tuple[object, ...]:
    store = ArtifactStore(setting.caches / "swap-artifacts")
    bodies = catalogue.write_bodies(setting.work / "swap-bodies.jsonl")
    seconds = _QUICK_SECONDS if setting.quick else _SECONDS
    sides = [_expectation(catalogue, path) for path in _two_tables(setting, catalogue.model, store)]
    with scratch_redis() as url:
        folder, variables = setting.work / "swap-service", {"REDIS_URL": url}
        with local_process(store.root, folder, setting.port, variables) as empty:
            serve_adapter(empty.client, DOMAIN, sides[0].path)
        catalogue.seed(url)
        with local_process(store.root, folder, setting.port, variables, _READY_WITHIN) as service:
            order = cycle([sides[1], sides[0]])
            idle = [_swap(service.client, side, catalogue) for side in islice(order, _IDLE_SWAPS)]
            load = Load((setting.port,), _PATH, str(bodies), RATE, seconds)
            with loading(load) as under_way:
                calm = under_way.report()
            with loading(load) as under_way:
                busy = []
                while not under_way.is_over:
                    busy.append(_seconds(service.client, next(order), catalogue))
                swapping = under_way.report()
    build = _hnsw_seconds(setting, catalogue)
    seconds_idle = [swap.seconds for swap in idle]
    median = float(np.median(seconds_idle))
    p99 = [report.milliseconds["p99"] for report in (calm, swapping)]
    return (
        median, max(seconds_idle), min(swap.recall for swap in idle), float(np.median(busy)), max(busy), len(busy),
        build, None if build is None else build / median, *p99, p99[1] / p99[0],
        sum(calm.failures.values()) + sum(swapping.failures.values()), swapping.cpu_share,
    )  # fmt: skip


def _swap(client: httpx.Client, side: Expectation, catalogue: LargeCatalogue) -> Swap:
    seconds = _seconds(client, side, catalogue)
    return Swap(seconds, side.question.recall(_answers(client, catalogue)))


def _seconds(client: httpx.Client, side: Expectation, catalogue: LargeCatalogue) -> float:
    start = time.perf_counter()
    checked(client.put(f"/v1/admin/domains/{DOMAIN}/adapter", json={"source": str(side.path)}))
    body = next(catalogue.bodies())
    while (version := checked(client.post(_PATH, json=body))["adapter_version"]) != side.version:
        if time.perf_counter() - start > _SERVED_WITHIN:
            sys.exit(f"{version} is still served, and not {side.version}")
        time.sleep(0.005)
    return time.perf_counter() - start


def _answers(client: httpx.Client, catalogue: LargeCatalogue) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """The places of the 50 items that each of the first users is recommended: int64 [users, 50]."""
    bodies = list(islice(catalogue.bodies(limit=K, exclude_history=False), _HISTORIES))
    places = []
    for start in range(0, len(bodies), _REQUESTS_PER_CALL):
        requests = {"requests": bodies[start : start + _REQUESTS_PER_CALL]}
        answer = checked(client.post(f"{_PATH}:batch", json=requests))
        places += [
            [catalogue.items.names.place_of(item["item_id"]) for item in result["items"]]
            for result in answer["results"]
        ]
    return np.array(places, dtype=np.int64)


def _expectation(catalogue: LargeCatalogue, path: Path) -> Expectation:
    model = ServedModel.load(path)
    chosen = catalogue.histories[:_HISTORIES]
    lengths = np.array([len(history) for history in chosen], dtype=np.int64)
    users = tuple(str(user) for user in range(len(chosen)))
    histories = Histories(users, np.concatenate(chosen).astype(np.int32), offsets_of(lengths))
    vectors = model.user_vectors(histories, catalogue.codes)
    question = Question.ask(vectors, catalogue.codes, model.adapter.table)
    return Expectation(path, model.adapter.bundle.version, question)


def _two_tables(setting: Setting, model: ServedModel, store: ArtifactStore) -> list[Path]:
    """The model's own adapter and one that another seed tuned, under one quantiser."""
    own = store.take_over(model.adapter.bundle.path, store.adapters(DOMAIN))
    others = [path for path in sorted(store.adapters(DOMAIN).glob("[!.]*")) if path.name != own.name]
    if others:
        return [own, others[-1]]
    config = TrainingConfig(quantizer_of=own, fit=FitConfig(max_epochs=1, seed=1))
    backbone = model.backbone.bundle.path
    return [own, adapt(setting.dataset(DOMAIN), DOMAIN, backbone, store, config).path]


def _hnsw_seconds(setting: Setting, catalogue: LargeCatalogue) -> float | None:
    if len(catalogue.codes) > LARGEST_WITH_PEERS:
        return None
    workshop = Workshop(setting.caches / "peers", f"{catalogue.adapter.bundle.version}-{len(catalogue.codes)}")
    build = workshop.hnsw(catalogue.adapter.table.normalized(catalogue.codes)).build
    return round(build.cpu_seconds / available_cpus(), 1)
