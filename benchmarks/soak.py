"""Does the service's memory stay flat? A million requests with histories of all lengths, filters and unknown items,
while items are withdrawn, brought back and looked up beside them.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np

from benchmarks.large_service import large_catalogue, resident_bytes
from benchmarks.loading import loading
from benchmarks.made_up_items import Names
from benchmarks.scaled import DOMAIN, SEED
from benchmarks.seeding import scratch_redis
from benchmarks.serving.load import Load
from benchmarks.setting import read_setting
from training.local_service import checked, local_process, serve_adapter

SIZE = 100_000
REQUESTS = 1_000_000
RATE = 400.0

_PARTS = 20
_QUICK_REQUESTS = 5_000
_QUICK_PARTS = 5
_BODIES = 20_000
_LONGEST = 200
_MEAN_LENGTH = 8
_LONG_SHARE = 0.02  # of any length up to the longest; the others are as long as shoppers' histories are
_UNKNOWN_SHARE = 0.05
_PAUSE = 0.1  # seconds between changes of the catalogue
_PATH = f"/v1/domains/{DOMAIN}"


def main() -> None:
    setting = read_setting("soak", __doc__ or "")
    n = setting.items[0] if setting.items else SIZE
    requests, parts = (_QUICK_REQUESTS, _QUICK_PARTS) if setting.quick else (REQUESTS, _PARTS)
    catalogue = large_catalogue(setting, n)
    setting.work.mkdir(parents=True, exist_ok=True)
    bodies = setting.work / "soak-bodies.jsonl"
    bodies.write_text("".join(json.dumps(body) + "\n" for body in _mixed(catalogue.items.names, n)))
    load = Load((setting.port,), f"{_PATH}/recommendations", str(bodies), RATE, requests / parts / RATE)
    rows: list[tuple[int, float, float | None, int]] = []
    failures: Counter[str] = Counter()
    with scratch_redis() as url:
        folder, variables = setting.work / "soak-service", {"REDIS_URL": url}
        with local_process(catalogue.artifacts, folder, setting.port, variables) as empty:
            serve_adapter(empty.client, DOMAIN, catalogue.adapter_path)
        catalogue.seed(url)
        with local_process(catalogue.artifacts, folder, setting.port, variables, 300) as service:
            rows.append((0, resident_bytes(service.pid).now / 1e6, None, 0))
            with _changes(str(service.client.base_url), catalogue.items.names, n) as changed:
                for part in range(1, parts + 1):
                    with loading(load) as under_way:
                        report = under_way.report()
                    failures.update(report.failures)
                    failed = sum(report.failures.values())
                    resident = resident_bytes(service.pid).now / 1e6
                    rows.append((part * requests // parts, resident, report.milliseconds["p99"], failed))
                    print(*rows[-1], flush=True)
    settled = rows[len(rows) // 4 :]
    slope = np.polyfit([row[0] for row in settled], [row[1] for row in settled], 1)[0]
    facts = {
        "items": n,
        "failures": dict(failures),
        "changes and look-ups beside": len(changed),
        "bytes a request, by a line through all but the first quarter": round(float(slope) * 1e6, 2),
    }
    setting.report(("requests", "resident MB", "p99 ms", "failed"), rows, facts)


def _mixed(names: Names, n: int) -> Iterator[dict[str, object]]:
    """Bodies of recommendation requests, by seed."""
    rng = np.random.default_rng(SEED)
    for _ in range(_BODIES):
        is_long = rng.random() < _LONG_SHARE
        length = rng.integers(1, _LONGEST + 1) if is_long else min(_LONGEST, rng.geometric(1 / _MEAN_LENGTH))
        places = rng.integers(n, size=int(length))
        known = rng.random(len(places)) >= _UNKNOWN_SHARE
        history = [
            names.id_of(int(place)) if know else f"unknown {place}" for place, know in zip(places, known, strict=True)
        ]
        body: dict[str, object] = {
            "history": history,
            "limit": int(rng.choice([5, 10, 20, 100], p=[0.3, 0.5, 0.15, 0.05])),
        }
        kind = rng.integers(4)
        if kind == 1:
            body["filter"] = {"category": [f"category {number}" for number in rng.integers(300, size=3)]}
        if kind == 2:
            body["filter"] = {"price": {"lte": round(float(rng.uniform(1, 100)), 2)}}
        if kind == 3:
            body |= {"return_attributes": True, "exclude_history": False}
        yield body


@contextmanager
def _changes(url: str, names: Names, n: int) -> Iterator[list[str]]:
    """Withdraw items, bring them back and look at what is like them, until the context ends; yields what was done."""
    done: list[str] = []
    over = threading.Event()

    def work() -> None:
        rng = np.random.default_rng(SEED)
        with httpx.Client(base_url=url, timeout=60) as client:
            while not over.wait(_PAUSE):
                path = f"{_PATH}/items/{names.id_of(int(rng.integers(n)))}"
                for available in (False, True):
                    checked(client.patch(path, json={"available": available}))
                checked(client.get(f"{path}/similar"))
                done.append(path)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield done
    finally:
        over.set()
        worker.join()


if __name__ == "__main__":
    main()
