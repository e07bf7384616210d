"""Is anything left behind? Half an hour of recommendations, writes, swaps and deletes against two replicas at once.

Shoppers ask, two feeds put, patch, withdraw and delete, an operator swaps adapters (of one quantiser and of another),
rolls back, and makes and deletes a second domain. Every answer is judged. Memory, open files and threads of both
replicas are sampled; a line is laid through each after the warm-up, with the 95 % confidence interval of its slope by a
block bootstrap, since samples hang together. Of memory one is also laid through the least of each block: what stays
behind, without the bursts of swaps. In the end both replicas must answer as a fresh one does.
"""

import argparse
import json
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.endurance.asking import Questions, Shopper
from benchmarks.endurance.ending import check_catalogue, differing, settle
from benchmarks.endurance.ledger import Ledger, shelved
from benchmarks.endurance.slope import Values, lagged_correlation, least_of_blocks, slope
from benchmarks.endurance.swapping import Operator, renumbered
from benchmarks.endurance.tally import Caller, Tally
from benchmarks.endurance.watching import MEMORY, Watch
from benchmarks.endurance.writing import Feed
from benchmarks.setting import Setting, read_setting
from models.adapter import DomainAdapter
from models.store import ArtifactStore
from training.dataset import Dataset
from training.histories import split_leave_one_out
from training.ingest import IngestTarget, ingest
from training.local_service import LocalProcess, local_process, serve_adapter

DOMAIN = "scientific"
MINUTES = 30.0
RATE = 60.0  # questions a second, of all shoppers together

_QUICK_MINUTES = 1.0
_SHOPPERS = 4
_WARM_SHARE = 0.2
_BLOCK_SECONDS = 60.0  # a round of the operator's takes about as long
_QUICK_BLOCK_SECONDS = 10.0
_COMPARED = 500
_COMPARED_LIMIT = 50
_SEED = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """All that takes part but the replicas."""

    setting: Setting
    store: ArtifactStore
    sources: list[Path]
    questions: Questions
    ledger: Ledger
    tally: Tally


def main() -> None:
    minutes = _read_minutes()
    setting = read_setting("endurance", __doc__ or "")
    scene = _scene(setting, setting.dataset(DOMAIN))
    block = _QUICK_BLOCK_SECONDS if setting.quick else _BLOCK_SECONDS
    with ExitStack() as stack:
        replicas = _two_replicas(scene, stack)
        watch = Watch({name: replica.pid for name, replica in replicas.items()})
        ports = [setting.port, setting.port + 1]
        with _together([watch.run, *_everyone(scene, ports)]) as over:
            over.wait((minutes or (_QUICK_MINUTES if setting.quick else MINUTES)) * 60)
        differ = _compare(scene, stack)
    rows = _rows(watch, block)
    facts = {
        "minutes": round(watch.seconds[-1] / 60, 1),
        "left out as warm-up": _WARM_SHARE,
        "seconds of a block": block,
        "faults": dict(scene.tally.faults),
        "done": dict(scene.tally.done.most_common()),
        "errors in the logs": _logged_errors(setting),
        "answers unlike a fresh replica's": differ,
        "compared under each adapter": _COMPARED,
        "adapters": len(scene.sources),
    }
    columns = ("replica", "what", "first", "last", "least", "most", "an hour", "low", "high", "correlation")
    setting.report(columns, rows, facts, {"seconds": watch.seconds, **_series(watch)})


def _read_minutes() -> float | None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float)
    options, sys.argv[1:] = parser.parse_known_args()
    minutes: float | None = options.minutes
    return minutes


def _scene(setting: Setting, dataset: Dataset) -> Scene:
    trained = ArtifactStore(setting.artifacts)
    folder = setting.work / "endurance"
    shutil.rmtree(folder, ignore_errors=True)
    store = ArtifactStore(folder / "artifacts")
    first = DomainAdapter.load(setting.adapter(dataset, DOMAIN, trained))
    manifest = first.bundle.manifest
    store.take_over(trained.find(trained.text_encoders, manifest.text_encoder), store.text_encoders)
    store.take_over(trained.find(trained.backbones, manifest.backbone), store.backbones)
    others = [path for path in sorted(trained.adapters(DOMAIN).glob("[!.]*")) if path.name != first.bundle.path.name]
    sources = [store.take_over(path, store.adapters(DOMAIN)) for path in (first.bundle.path, *others[:1])]
    sources.append(renumbered(store, first, DOMAIN))
    items = shelved(dataset)
    test = split_leave_one_out(dataset.histories).test.histories
    order = np.random.default_rng(_SEED).permutation(len(test))
    histories = [[items.item_ids[item] for item in test[int(user)]] for user in order]
    questions = Questions(DOMAIN, histories, items.texts, frozenset(path.name for path in sources))
    return Scene(setting, store, sources, questions, Ledger(items), Tally())


def _two_replicas(scene: Scene, stack: ExitStack) -> dict[str, LocalProcess]:
    """The first with an embedded Redis, which the second uses too."""
    first = stack.enter_context(_replica(scene, "first", scene.setting.port, ""))
    serve_adapter(first.client, DOMAIN, scene.sources[0])
    ingest(scene.ledger.staying, IngestTarget(str(first.client.base_url), DOMAIN))
    second = stack.enter_context(_replica(scene, "second", scene.setting.port + 1, _redis_url(scene.setting)))
    return {"first": first, "second": second}


@contextmanager
def _replica(scene: Scene, name: str, port: int, redis_url: str) -> Iterator[LocalProcess]:
    folder = scene.setting.work / "endurance" / name
    with local_process(scene.store.root, folder, port, {"REDIS_URL": redis_url}) as process:
        yield process


def _redis_url(setting: Setting) -> str:
    return f"unix://{setting.work / 'endurance' / 'first' / 'redis' / 'redis.sock'}"


def _everyone(scene: Scene, ports: Sequence[int]) -> Iterator[Callable[[threading.Event], None]]:
    path, ledger, tally = scene.questions.path, scene.ledger, scene.tally
    for number in range(_SHOPPERS):
        shopper = Shopper(ports[number % len(ports)], scene.questions, ledger, tally, seed=number)
        yield partial(shopper.run, RATE / _SHOPPERS)
    for port in ports:
        yield Feed(port, path, ledger, tally, _SEED).run
    yield Operator(ports, path, scene.sources, ledger.staying, tally).run


@contextmanager
def _together(parts: Sequence[Callable[[threading.Event], None]]) -> Iterator[threading.Event]:
    """Run each on a thread of its own while the context is open; what one raises ends all, and is raised again.

    Yields:
        what says to everyone that it is over.
    """
    over = threading.Event()
    raised: list[Exception] = []

    def run(part: Callable[[threading.Event], None]) -> None:
        try:
            part(over)
        except Exception as error:
            raised.append(error)
            over.set()

    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield over
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


def _compare(scene: Scene, stack: ExitStack) -> dict[str, dict[str, int]]:
    """Both replicas beside a fresh one, under each adapter."""
    setting, path = scene.setting, scene.questions.path
    stack.enter_context(_replica(scene, "fresh", setting.port + 2, _redis_url(setting)))
    ports = [setting.port + number for number in range(3)]
    callers = dict(
        zip(
            ("first", "second", "fresh"),
            (stack.enter_context(Caller(port, scene.tally)) for port in ports),
            strict=True,
        )
    )
    settle(list(callers.values()), path, scene.ledger)
    check_catalogue(callers["fresh"], path, scene.ledger)
    bodies = list(islice(_bodies(scene.questions), _COMPARED))
    operator = Operator(ports, path, scene.sources, scene.ledger.staying, scene.tally)
    found = {}
    for source in scene.sources:
        operator.choose(callers["first"], source)
        found[source.name] = differing(callers, path, bodies)
    return found


def _bodies(questions: Questions) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(_SEED)
    while True:
        yield {**questions.body(rng), "limit": _COMPARED_LIMIT}


def _rows(watch: Watch, block_seconds: float) -> list[tuple[object, ...]]:
    seconds, samples = watch.after(_WARM_SHARE * watch.seconds[-1])
    rows: list[tuple[object, ...]] = []
    for name, whats in samples.items():
        for what, values in whats.items():
            rows.append(_row(name, what, seconds, values, block_seconds))
            if what == MEMORY:
                # A swap holds two adapters for a second: bursts, in which what stays behind would be hard to see.
                rest = least_of_blocks(seconds, values, block_seconds)
                rows.append(_row(name, f"{what}, least of a block", *rest, block_seconds))
    return rows


def _row(name: str, what: str, seconds: Values, values: Values, block_seconds: float) -> tuple[object, ...]:
    line = slope(seconds, values, block_seconds, _SEED)
    block = max(1, round(block_seconds / float(np.median(np.diff(seconds)))))
    ends = (values[0], values[-1], values.min(), values.max())
    return name, what, *map(float, ends), line.per_hour, line.low, line.high, lagged_correlation(values, block)


def _series(watch: Watch) -> dict[str, list[float]]:
    return {f"{name} {what}": values for name, whats in watch.samples.items() for what, values in whats.items()}


def _logged_errors(setting: Setting) -> dict[str, int]:
    """Lines of a replica's log that tell of an error."""
    counts: Counter[str] = Counter()
    for log in (setting.work / "endurance").glob("*/service.log"):
        for line in log.read_text().splitlines():
            if json.loads(line)["level"] in ("error", "critical"):
                counts[f"{log.parent.name}: {json.loads(line)['event']}"] += 1
    return dict(counts)


if __name__ == "__main__":
    main()
