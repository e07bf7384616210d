"""Do selective filters come back full, right and fast? From 0.1 % of the catalogue to all of it.

Items are allowed by chance, and by likeness: those nearest to some item, as a category is. Peers are FAISS IVF and HNSW
with a selector, and HNSW asked for more and filtered afterwards, each with the effort that reaches recall@50 of 0.98
without a filter. The mask is given ready to all of them: what evaluates a filter is not measured here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.contender import (
    WANTED_RECALL,
    Contender,
    K,
    Mask,
    Question,
    Search,
    Slots,
    Vectors,
    one_core,
    rate,
    searched,
)
from benchmarks.index_ours import our_index
from benchmarks.index_peers import Workshop, on_one_thread
from benchmarks.large_service import item_names
from benchmarks.scaled import SEED, real_users, scaled_codes, served_model
from benchmarks.setting import Setting, read_setting
from models.codes import Codes
from models.table import CodeTable
from training.evaluate import ServedModel

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
QUICK_SHARES = (0.001, 0.01, 0.1, 1.0)
SIZES = (100_000,)
QUICK_SIZES = (10_000,)

_QUERIES = 200
_QUICK_QUERIES = 50
_OVERFETCH = 10
_BLOCK = 50_000
_COLUMNS = ("items", "allowed", "share", "index", "found", "of", "full answers", "recall@50", "ms")


@dataclass(frozen=True, eq=False)
class Rival:
    """A contender at the effort that it needs for the wanted recall without a filter."""

    name: str
    among: Callable[[Mask], Callable[[Vectors], Slots]]


def main() -> None:
    setting = read_setting("filters", __doc__ or "")
    model = served_model(setting)
    table = model.adapter.table
    rows: list[tuple[object, ...]] = []
    for n in setting.items or (QUICK_SIZES if setting.quick else SIZES):
        codes, users = scaled_codes(setting, model, n), real_users(setting, model)
        queries = users[: _QUICK_QUERIES if setting.quick else _QUERIES]
        with one_core():
            on_one_thread()
            rivals = list(_rivals(setting, model, Question.ask(queries, codes, table)))
            for kind, share, allowed in _masks(setting, codes, table):
                question = Question.ask(queries, codes, table, allowed)
                place = (n, kind, share)
                rows += [(*place, rival.name, *_answers(setting, rival, allowed, question)) for rival in rivals]
    facts = {
        "found, of": f"items that came on average, of min({K}, matching)",
        "full answers": "share of the queries that got all of those",
        "ms": "a query on one core, one at a time",
    }
    setting.report(_COLUMNS, rows, facts)


def _answers(setting: Setting, rival: Rival, allowed: Mask, question: Question) -> tuple[object, ...]:
    search = rival.among(allowed)
    slots = searched(search, question.users, 1)
    came, wanted = (slots >= 0).sum(axis=1), min(K, question.matching)
    seconds = 1 / rate(search, question.users, 1, 0.05 if setting.quick else 0.5)
    full, recall = float((came == wanted).mean()), question.recall(slots)
    return round(float(came.mean()), 2), wanted, full, round(recall, 4), round(1000 * seconds, 4)


def _rivals(setting: Setting, model: ServedModel, unfiltered: Question) -> Iterator[Rival]:
    codes = unfiltered.codes
    vectors = unfiltered.table.normalized(codes)
    workshop = Workshop(setting.caches / "peers", f"{model.adapter.bundle.version}-{len(codes)}")
    ours = our_index("codes", model, codes, item_names(setting))
    for contender in (ours, workshop.ivf(vectors), workshop.hnsw(vectors)):
        effort = _least_effort(contender, unfiltered)
        if contender.among is not None:
            yield Rival(contender.name, partial(_among, contender.among, effort))
    yield Rival(f"FAISS HNSW, {_OVERFETCH * K} filtered", partial(_filtered_afterwards, contender.search, effort))


def _among(among: Callable[[Mask], Search], effort: int, allowed: Mask) -> Callable[[Vectors], Slots]:
    return partial(among(allowed), k=K, effort=effort)


def _filtered_afterwards(search: Search, effort: int, allowed: Mask) -> Callable[[Vectors], Slots]:
    """Ten times as many are asked for, and the first that are allowed kept."""
    fetch = min(_OVERFETCH * K, len(allowed))

    def answer(users: Vectors) -> Slots:
        answers = np.full((len(users), K), -1, dtype=np.int64)
        for row, found in zip(answers, search(users, fetch, max(effort, fetch)), strict=True):
            kept = found[(found >= 0) & allowed[found]][:K]
            row[: len(kept)] = kept
        return answers

    return answer


def _least_effort(contender: Contender, question: Question) -> int:
    for effort in contender.efforts:
        search = partial(contender.search, k=K, effort=effort)
        if question.recall(searched(search, question.users, 32)) >= WANTED_RECALL:
            return effort
    return contender.efforts[-1]


def _masks(setting: Setting, codes: Codes, table: CodeTable) -> Iterator[tuple[str, float, Mask]]:
    """By chance and by likeness, from few items to all."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(codes))
    centre = table.normalized(codes[order[:1]])[0]
    scores = np.concatenate(
        [table.normalized(codes[start : start + _BLOCK]) @ centre for start in range(0, len(codes), _BLOCK)]
    )
    nearest_first = np.argsort(-scores, kind="stable")
    for share in QUICK_SHARES if setting.quick else SHARES:
        for kind, places in (("by chance", order), ("alike", nearest_first)):
            allowed = np.zeros(len(codes), dtype=np.bool_)
            allowed[places[: round(share * len(codes))]] = True
            if share < 1 or kind == "by chance":
                yield kind, share, allowed


if __name__ == "__main__":
    main()
