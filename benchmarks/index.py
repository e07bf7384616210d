"""How fast is each index at equal recall? Ours beside FAISS and usearch, on one core, one query at a time and 32.

Catalogues are scaled from real text vectors (benchmarks.scaled), queries are real histories through the network: of
the users of the domain that it was trained on, and of those of all domains, to most of which it is a stranger. Every
index is swept from little effort to much; the table has the fastest point at recall@50 of 0.98 or more.
"""

import gc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

from benchmarks.contender import WANTED_RECALL, Contender, K, Question, one_core, rate, searched
from benchmarks.index_ours import our_index
from benchmarks.index_peers import LARGEST_WITH_PEERS, Workshop, on_one_thread
from benchmarks.large_service import item_names
from benchmarks.scaled import DOMAINS, real_users, scaled_codes, served_model
from benchmarks.setting import Setting, read_setting
from models.codes import Codes
from training.evaluate import ServedModel

SIZES = (10_000, 100_000, 1_000_000)
BATCH = 32
_QUERIES = 1_000
_LARGEST_OF_USEARCH = 200_000  # beyond it, its build takes the better part of an hour
_FEW_QUERIES_FROM = 1_000_000  # where an exact answer takes 50 ms, and there are many to give
_ENOUGH_RECALL = 0.9995
_OWN, _ALL = "own", "all domains'"
_COLUMNS = (
    "items",
    "users",
    "index",
    "effort",
    "recall@50",
    "one/s",
    "batch/s",
    "x flat",
    "bytes/item",
    "build s",
    "cpu s",
)


@dataclass(frozen=True)
class Point:
    """What an index does with one effort, in the index's own unit.

    Args:
        recall: share of the 50 best that are found.
        one, batch: queries a second on one core, one at a time and 32.
    """

    effort: int
    recall: float
    one: float
    batch: float


def main() -> None:
    setting = read_setting("index", __doc__ or "")
    model = served_model(setting)
    rows: list[tuple[object, ...]] = []
    curves: list[dict[str, object]] = []
    for n in setting.items or (SIZES[:1] if setting.quick else SIZES):
        flat: dict[str, float] = {}
        for contender, asked, points in _measured(setting, model, n):
            curves += [{"items": n, "users": asked, "index": contender.name, **asdict(point)} for point in points]
            best = best_point(points)
            flat.setdefault(asked, best.one)
            against = flat[asked] if n <= LARGEST_WITH_PEERS else None
            rows.append((n, asked, contender.name, *_figures(best, against), *_cost(contender, n)))
    rows.sort(key=lambda row: (row[0], row[1] != _OWN))
    facts = {
        "queries": _queries(setting, 0),
        "users": f"{_OWN}: of the domain that the network was trained on; {_ALL}: as many of each domain",
        "one/s, batch/s": f"queries a second on one core, one at a time and {BATCH} at once",
        "bytes/item": f"without the table's {model.adapter.table.rows.nbytes} bytes, which the network needs too",
        "build s, cpu s": "by the clock and of all threads; a build that was kept from an earlier run has that run's",
    }
    setting.report(_COLUMNS, rows, facts, {"curves": curves})


def best_point(points: list[Point]) -> Point:
    """The fastest at the wanted recall, else the one that comes nearest to it."""
    good = [point for point in points if point.recall >= WANTED_RECALL]
    return max(good, key=lambda point: point.one) if good else max(points, key=lambda point: point.recall)


def _measured(setting: Setting, model: ServedModel, n: int) -> Iterator[tuple[Contender, str, list[Point]]]:
    codes, count = scaled_codes(setting, model, n), _queries(setting, n)
    users = {_OWN: real_users(setting, model)[:count], _ALL: real_users(setting, model, DOMAINS)[:count]}
    questions = {asked: Question.ask(vectors, codes, model.adapter.table) for asked, vectors in users.items()}
    for make in _makers(setting, model, codes):
        contender = make()
        print(f"{n} items: {contender.name}, built in {contender.build}", flush=True)
        for asked, question in questions.items():
            yield contender, asked, _sweep(contender, question, 0.1 if setting.quick else 0.5)
        del contender
        gc.collect()


def _sweep(contender: Contender, question: Question, seconds: float) -> list[Point]:
    points: list[Point] = []
    with one_core():
        on_one_thread()
        for effort in contender.efforts:
            search = partial(contender.search, k=K, effort=effort)
            recall = question.recall(searched(search, question.users, BATCH))
            one, batch = (rate(search, question.users, size, seconds) for size in (1, BATCH))
            points.append(Point(effort, round(recall, 4), round(one, 1), round(batch, 1)))
            if recall >= _ENOUGH_RECALL:
                break
    return points


def _makers(setting: Setting, model: ServedModel, codes: Codes) -> Iterator[Callable[[], Contender]]:
    """FAISS flat first, since the others are compared with it; ours last."""
    names = item_names(setting)
    if len(codes) <= LARGEST_WITH_PEERS:
        vectors = model.adapter.table.normalized(codes)
        workshop = Workshop(setting.caches / "peers", f"{model.adapter.bundle.version}-{len(codes)}")
        for peer in (workshop.flat, workshop.ivf, workshop.ivf_pq, workshop.hnsw):
            yield partial(peer, vectors)
        if len(codes) <= _LARGEST_OF_USEARCH:
            yield partial(workshop.usearch, vectors)
        for kind in ("flat", "ivf"):
            yield partial(our_index, kind, model, codes, names)
    yield partial(our_index, "codes", model, codes, names)


def _queries(setting: Setting, n: int) -> int:
    few = setting.quick or n >= _FEW_QUERIES_FROM
    return _QUERIES // 5 if few else _QUERIES


def _figures(best: Point, flat: float | None) -> tuple[object, ...]:
    against = best.one / flat if flat and best.recall >= WANTED_RECALL else None
    return best.effort, best.recall, best.one, best.batch, None if against is None else round(against, 1)


def _cost(contender: Contender, n: int) -> tuple[object, ...]:
    return round(contender.nbytes / n, 1), contender.build.seconds, contender.build.cpu_seconds


if __name__ == "__main__":
    main()
