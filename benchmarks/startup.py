"""How soon is a service ready with a large catalogue in Redis, and what does an item take of its memory?

Redis is seeded with ids, records of three attributes with the texts of real items, and codes scaled from real text
vectors (benchmarks.scaled); text vectors are left out, since a start reads none. Memory is the resident set of the
process, above that of the same process with an empty catalogue; what is measured after requests has answered some.
"""

import time
from contextlib import AbstractContextManager
from itertools import islice

import httpx

from benchmarks.large_service import LargeCatalogue, large_catalogue, resident_bytes
from benchmarks.scaled import DOMAIN
from benchmarks.seeding import scratch_redis
from benchmarks.setting import Setting, read_setting
from training.local_service import LocalProcess, checked, local_process, serve_adapter

SIZES = (1_000_000,)
QUICK_SIZES = (20_000,)
_REQUESTS = 300
_READY_WITHIN = 900.0


def main() -> None:
    setting = read_setting("startup", __doc__ or "")
    rows = []
    details: dict[str, object] = {}
    for n in setting.items or (QUICK_SIZES if setting.quick else SIZES):
        print(f"{n} items", flush=True)
        catalogue = large_catalogue(setting, n)
        with scratch_redis() as url:
            with _service(setting, catalogue, url) as empty:
                serve_adapter(empty.client, DOMAIN, catalogue.adapter_path)
            with _service(setting, catalogue, url) as empty:
                _ask(empty.client, catalogue)
                base = resident_bytes(empty.pid)
            start = time.perf_counter()
            catalogue.seed(url)
            seeded = time.perf_counter() - start
            with _service(setting, catalogue, url) as full:
                ready = resident_bytes(full.pid)
                _ask(full.client, catalogue)
                after = resident_bytes(full.pid)
                domain = checked(full.client.get(f"/v1/domains/{DOMAIN}"))
        rows.append((n, domain["items"], full.ready_seconds, empty.ready_seconds, seeded, base.now / 1e6,
                     (ready.now - base.now) / n, (after.now - base.now) / n, after.peak / 1e6,
                     domain["bytes_per_item"]))  # fmt: skip
        details[str(n)] = domain
    columns = ("items", "served", "ready s", "ready s, empty", "seeding s", "base MB", "bytes/item, ready",
               "after requests", "peak MB", "bytes/item, by the API")  # fmt: skip
    setting.report(columns, rows, {}, {"domains": [details]})


def _ask(client: httpx.Client, catalogue: LargeCatalogue) -> None:
    """Histories that a full catalogue knows and an empty one does not."""
    for body in islice(catalogue.bodies(), _REQUESTS):
        checked(client.post(f"/v1/domains/{DOMAIN}/recommendations", json=body))


def _service(setting: Setting, catalogue: LargeCatalogue, url: str) -> AbstractContextManager[LocalProcess]:
    return local_process(catalogue.artifacts, setting.work / "startup", setting.port, {"REDIS_URL": url}, _READY_WITHIN)


if __name__ == "__main__":
    main()
