"""Does a swap lose or mix anything? Two adapters to and fro under load; every answer must be one of the two's own."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np

from benchmarks.setting import Setting
from models.adapter import DomainAdapter
from models.store import ArtifactStore
from training.adapt import adapt
from training.config import TrainingConfig
from training.dataset import Dataset
from training.errors import ServiceError
from training.histories import split_leave_one_out
from training.ingest import IngestTarget, ingest
from training.local_service import checked, local_service, serve_adapter
from training.loop import FitConfig

DOMAIN = "scientific"
SWAPS = 20
CLIENTS = 4
HISTORIES = 200
_PAUSE = 0.25  # seconds between swaps, so that requests meet each adapter at work

Answers = dict[str, dict[int, list[tuple[str, float]]]]  # adapter version ─► history ─► items and scores


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


def measure_agreement(setting: Setting) -> None:
    """Swap to and fro over the real catalogue, whose answers are known, and report."""
    dataset = setting.dataset(DOMAIN)
    store = ArtifactStore(setting.work / "swap")
    adapters = _two_adapters(dataset, store, setting)
    bodies = _bodies(dataset)
    with local_service(store.root, setting.work / "swap-service", setting.port) as client:
        alone: Answers = {}
        for adapter in adapters:
            version = serve_adapter(client, DOMAIN, adapter)
            ingest(dataset.items, IngestTarget(str(client.base_url), DOMAIN))
            alone[version] = {place: _answer(client, body)[1] for place, body in enumerate(bodies)}
        calm = _under_load(client, bodies, alone, lambda: time.sleep(_PAUSE * SWAPS))
        swaps: list[float] = []
        swapping = _under_load(client, bodies, alone, lambda: _swap(client, adapters, swaps))
    differ = np.mean([alone[adapters[0].name][place] != alone[adapters[1].name][place] for place in range(len(bodies))])
    loads = (("calm", calm), ("swapping", swapping))
    rows = [(name, len(tally.seconds), _p(tally, 50), _p(tally, 99)) for name, tally in loads]
    facts = {
        "swaps": len(swaps),
        "median seconds from call to served": round(float(np.median(swaps)), 3),
        "outcomes calm": dict(calm.outcomes),
        "outcomes swapping": dict(swapping.outcomes),
        "share of histories that the two adapters answer differently": float(differ),
        "p99 ratio": round(_p(swapping, 99) / _p(calm, 99), 2),
    }
    setting.report(("load", "requests", "p50 ms", "p99 ms"), rows, facts)


def _two_adapters(dataset: Dataset, store: ArtifactStore, setting: Setting) -> list[Path]:
    """Two seeds under one backbone, their quantisers and tables their own."""
    trained = ArtifactStore(setting.artifacts)
    first = DomainAdapter.load(setting.adapter(dataset, DOMAIN, trained))
    backbone = trained.find(trained.backbones, first.bundle.manifest.backbone)
    return [
        adapt(dataset, DOMAIN, backbone, store, TrainingConfig(fit=FitConfig(max_epochs=1, seed=seed))).path
        for seed in (1, 2)
    ]


def _bodies(dataset: Dataset) -> list[dict[str, object]]:
    histories = split_leave_one_out(dataset.histories).test.histories
    count = min(HISTORIES, len(histories))
    return [{"history": [dataset.item_ids[item] for item in histories[user]], "limit": 10} for user in range(count)]


def _answer(client: httpx.Client, body: dict[str, object]) -> tuple[str, list[tuple[str, float]]]:
    answer = checked(client.post(f"/v1/domains/{DOMAIN}/recommendations", json=body))
    return str(answer["adapter_version"]), [(item["item_id"], item["score"]) for item in answer["items"]]


def _swap(client: httpx.Client, adapters: list[Path], seconds: list[float]) -> None:
    for _, adapter in zip(range(SWAPS), cycle(adapters), strict=False):
        start = time.perf_counter()
        serve_adapter(client, DOMAIN, adapter)
        seconds.append(time.perf_counter() - start)
        time.sleep(_PAUSE)


def _under_load(
    client: httpx.Client, bodies: list[dict[str, object]], alone: Answers, meanwhile: Callable[[], None]
) -> Tally:
    """Ask from several clients at once for as long as ``meanwhile`` takes, and judge every answer."""
    tally, done = Tally(), threading.Event()

    def ask(first: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            for place in cycle(range(first, len(bodies), CLIENTS)):
                if done.is_set():
                    return
                start = time.perf_counter()
                try:
                    version, items = _answer(own, bodies[place])
                except (ServiceError, httpx.HTTPError) as error:
                    tally.outcomes[f"failed: {error}"[:200]] += 1
                    continue
                tally.seconds.append(time.perf_counter() - start)
                right = items == alone.get(version, {}).get(place)
                tally.outcomes["as alone" if right else "not as alone"] += 1

    clients = [threading.Thread(target=ask, args=(first,)) for first in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        meanwhile()
    finally:
        done.set()
        for thread in clients:
            thread.join()
    return tally


def _p(tally: Tally, percentile: float) -> float:
    return round(float(np.percentile(tally.seconds, percentile)) * 1000, 2)
