"""Ten times what the service can answer for two minutes: how much it answers, how fast, and how soon it is well again.
Then one domain that floods it, and another with a light traffic of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import psutil

from benchmarks.loading import loading
from benchmarks.overload.phases import Phase, phase_of, recovery_seconds
from benchmarks.overload.watching import Seen, watching
from benchmarks.seeding import scratch_redis, seed
from benchmarks.serving.catalogue import DOMAIN, Catalogue
from benchmarks.serving.load import Load, Report
from benchmarks.serving.sweep import Point, measure, sweep
from benchmarks.setting import Setting, read_setting
from models.adapter import DomainAdapter
from models.store import ArtifactStore, store_of
from training.evaluate import ServedModel
from training.local_service import LocalProcess, local_process, serve_adapter

TIMES = 10
SECONDS, QUICK_SECONDS = 120, 6
LIGHT = "light"  # a second domain with the same items

_NORMAL = 0.8  # of the capacity
_LIGHT_SHARE = 0.05
_AROUND, _QUICK_AROUND = 20, 5  # seconds of the normal load, before and after
_FLOOD, _QUICK_FLOOD = 30, 5
_CONNECTIONS = 512
_FIRST_RATE = 500.0
_WELL = 1.5  # a second's p99 is well up to so many times the worst of a normal second


@dataclass(frozen=True)
class Rig:
    """A service that serves two domains, and what it is asked.

    Args:
        bodies: a file of requests.
        quick: whether everything is short.
    """

    service: LocalProcess
    port: int
    bodies: Path
    quick: bool

    def load(self, rate: float, seconds: float, domain: str = DOMAIN, **more: object) -> Load:
        path = f"/v1/domains/{domain}/recommendations"
        return Load((self.port,), path, str(self.bodies), rate, seconds, connections=_CONNECTIONS, **more)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return str(self.service.client.base_url)


@dataclass(frozen=True)
class Overload:
    """What the service did under a load that is normal, ten times its capacity, and normal again."""

    report: Report
    seen: Seen
    before: Phase
    during: Phase
    recovered: int | None


def main() -> None:
    setting = read_setting("overload", __doc__ or "")
    with _rig(setting) as rig:
        points, capacity = _capacity(rig)
        overload = _overload(rig, capacity)
        flood, light, alone = _flood(rig, capacity)
    before, during = overload.before, overload.during
    rows = [
        ("normal", before.offered, before.answered, before.p99, before.worst_p99),
        (f"{TIMES} x capacity", during.offered, during.answered, during.p99, during.worst_p99),
        ("light domain alone", alone.offered, alone.answered, alone.answered_milliseconds["p99"], None),
        ("light beside a flood", light.offered, light.answered, light.answered_milliseconds["p99"], None),
        ("the flood", flood.offered, flood.answered, flood.answered_milliseconds["p99"], None),
    ]
    facts = {"capacity, requests a second at p99 <= 25 ms": capacity, **_facts(overload, capacity)}
    seconds = [asdict(second) for second in overload.report.by_second]
    series: dict[str, Sequence[object]] = {
        "sweep": [asdict(point) for point in points],
        "seconds": seconds,
        "resident": overload.seen.resident,
    }
    setting.report(("load", "offered/s", "answered/s", "p99", "worst second's"), rows, facts, series)


def _facts(overload: Overload, capacity: float) -> dict[str, object]:
    report, seen, during, before = overload.report, overload.seen, overload.during, overload.before
    resident = [size / 1e6 for size in seen.resident]
    total = sum(second.offered for second in report.by_second)
    return {
        "goodput, share of capacity": round(during.answered / capacity, 3),
        "p99 of what was admitted, times normal": round(during.p99 / before.p99, 2),
        "refused with 429, share": round(report.failures.get("429", 0) / total, 3),
        "failures": report.failures,
        "seconds until it was well again": overload.recovered,
        "resident MB, first, most, last": [round(size) for size in (resident[0], max(resident), resident[-1])],
        "livez milliseconds, p50, p99, most": [round(seen.livez(share), 1) for share in (0.5, 0.99, 1.0)],
        "livez failures": seen.livez_failures,
        "service cpu, processors": round(seen.cpu_seconds / len(report.by_second), 2),
        "generator cpu, processors": round(report.cpu_share, 2),
        "generator late, p99 ms": report.late_milliseconds,
    }


def _capacity(rig: Rig) -> tuple[list[Point], float]:
    """The rate that ``benchmarks.serving`` would find: the highest with p99 <= 25 ms and nothing refused."""
    servers = [psutil.Process(rig.service.pid)]
    seconds = 2.0 if rig.quick else 6.0
    points, best = sweep(lambda rate: measure(rig.load(rate, seconds), servers), _FIRST_RATE)
    if best is not None:
        return points, best.rate
    if rig.quick:  # which must run on a busy machine, too
        return points, max(1.0, *(point.answered for point in points))
    raise SystemExit("overload: no rate is answered within the limit; is the machine busy with something else?")


def _overload(rig: Rig, capacity: float) -> Overload:
    around = _QUICK_AROUND if rig.quick else _AROUND
    long = QUICK_SECONDS if rig.quick else SECONDS
    normal = capacity * _NORMAL
    load = rig.load(normal, around - 1, then=((capacity * TIMES, long), (normal, around)))  # and a second to warm up
    with watching(rig.service.pid, rig.url) as seen, loading(load) as under_way:
        report = under_way.report()
    seconds = iter(report.by_second)
    before, during, after = (list(islice(seconds, count)) for count in (around, long, around))
    whole_before, whole_during, _ = report.by_rate
    normally = phase_of(whole_before, before)
    recovered = recovery_seconds(after, _WELL * normally.worst_p99)
    return Overload(report, seen, normally, phase_of(whole_during, during), recovered)


def _flood(rig: Rig, capacity: float) -> tuple[Report, Report, Report]:
    """What became of a flood, of the light traffic beside it, and of that traffic alone."""
    seconds = _QUICK_FLOOD if rig.quick else _FLOOD
    light = rig.load(capacity * _LIGHT_SHARE, seconds, LIGHT)
    with loading(light) as under_way:
        alone = under_way.report()
    flood = rig.load(capacity * TIMES, seconds + 2.0)
    with loading(flood) as flooding, loading(light) as under_way:
        return flooding.report(), under_way.report(), alone


@contextmanager
def _rig(setting: Setting) -> Iterator[Rig]:
    dataset = setting.dataset(DOMAIN)
    adapter = setting.adapter(dataset, DOMAIN, ArtifactStore(setting.artifacts))
    catalogue = Catalogue.build(setting, dataset, ServedModel.load(adapter))
    folder = setting.work / "overload"
    catalogue.save(folder)
    root, data = store_of(adapter).root, setting.work / "overload-service"
    with scratch_redis() as url:
        variables = {"REDIS_URL": url}
        with local_process(root, data, setting.port, variables) as empty:
            for domain in (DOMAIN, LIGHT):
                serve_adapter(empty.client, domain, adapter)
        for domain in (DOMAIN, LIGHT):
            seed(url, domain, DomainAdapter.load(adapter), catalogue.records(), catalogue.codes)
        with local_process(root, data, setting.port, variables) as service:
            yield Rig(service, setting.port, folder / "bodies.jsonl", setting.quick)


if __name__ == "__main__":
    main()
