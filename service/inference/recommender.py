"""Histories ─► recommendations: one network for all domains, fed in batches that mix their requests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.table import CodeTable
from models.user_network import UserNetwork
from service.catalog.filters import Filter
from service.catalog.item import AttributeValue
from service.catalog.snapshot import DomainSnapshot
from service.inference.batcher import BatcherConfig, MicroBatcher
from service.inference.index.items import raw_vectors
from service.inference.search import Hit, Selection, most_popular, nearest
from service.metrics import Metrics

Source = Literal["model", "popular"]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is asked of a snapshot.

    Args:
        kind: ``next``: what follows on a history; ``similar``: what is nearest to one item; ``popular``: neither.
        codes: the history's [t, D], oldest first; the one item's [1, D]; nothing for ``popular``.
        limit: how many items at most; that many come whenever that many match.
        wanted: the filter.
        exclude: ids that must not come.
        seen: ids that the user has had; they come after others of the same score.
    """

    kind: Literal["next", "similar", "popular"]
    limit: int
    codes: Codes | None = None
    wanted: Filter | None = None
    exclude: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """A recommended item. The score is a cosine, or for a popular item its interactions in training.

    It has its attributes where they were asked for.
    """

    item_id: str
    score: float
    source: Source
    attributes: Mapping[str, AttributeValue] | None = None


Job = tuple[DomainSnapshot, Query]


class Recommender:
    """Answers queries on any snapshot whose table has the network's width.

    An answer is the same, bit by bit, whatever other queries are computed beside it.

    Args:
        network: the backbone's.
        pool: where batches are computed.
        metrics: stages ``network`` and ``search``, and those of the queue ``recommend``.
        config: of the queue.
    """

    def __init__(self, network: UserNetwork, pool: Executor, metrics: Metrics, config: BatcherConfig) -> None:
        self._network, self._metrics = network, metrics
        self._batcher: MicroBatcher[Job, list[ScoredItem]] = MicroBatcher(
            "recommend", self.answer, pool, metrics, config
        )

    @property
    def max_history(self) -> int:
        """How many items of a history the network reads."""
        return self._network.max_history

    async def stop(self) -> None:
        """Answer what was accepted and refuse what comes."""
        await self._batcher.stop()

    async def recommend(self, snapshot: DomainSnapshot, query: Query, domain: str = "") -> list[ScoredItem]:
        """The answer to one query, best item first; see :meth:`recommend_all`."""
        return await self._batcher.submit((snapshot, query), ("one", domain))

    async def recommend_all(
        self, snapshot: DomainSnapshot, queries: Sequence[Query], domain: str = ""
    ) -> list[list[ScoredItem]]:
        """The answers to some queries, which are accepted all or none.

        A domain's single queries and those that come many at once take turns, with each other and with other domains'.

        Raises:
            OverloadedError: if the queue has no room for them.
            StoppingError: once :meth:`stop` was called.
        """
        return await self._batcher.submit_all([(snapshot, query) for query in queries], ("many", domain))

    def answer(self, jobs: Sequence[Job]) -> list[list[ScoredItem]]:
        """The answers to a batch, computed here and now by the calling thread."""
        answers: list[list[ScoredItem]] = [[] for _ in jobs]
        with self._metrics.stage("network"):
            users = self._user_vectors(jobs)
        with self._metrics.stage("search"):
            for (snapshot, wanted), positions in _sharing_a_search(jobs).items():
                selections = [_selection(jobs[position][1]) for position in positions]
                vectors = np.stack([users[position] for position in positions])  # [q, width]
                found = nearest(snapshot, wanted, vectors, selections)
                for position, hits in zip(positions, found, strict=True):
                    answers[position] = _scored(hits, "model")
            for position, (snapshot, query) in enumerate(jobs):
                if query.kind == "popular":
                    answers[position] = _scored(most_popular(snapshot, query.wanted, _selection(query)), "popular")
        return answers

    def _user_vectors(self, jobs: Sequence[Job]) -> dict[int, npt.NDArray[np.float32]]:
        """What each job that is not about popular items looks for, by its position: float32 [width]."""
        users: dict[int, npt.NDArray[np.float32]] = {}
        histories: dict[int, npt.NDArray[np.float32]] = {}
        for table, positions in _sharing_a_table(jobs).items():
            codes = [_codes(jobs[position][1]) for position in positions]
            vectors = raw_vectors(table.rows, cast(Codes, np.concatenate(codes)))  # [t of all, width]
            ends = np.cumsum([len(history) for history in codes])[:-1]
            histories.update(zip(positions, np.split(vectors, ends), strict=True))
        for position, (snapshot, query) in enumerate(jobs):
            if query.kind == "similar":
                users[position] = snapshot.adapter.table.normalized(_codes(query))[0]
        found = self._network.user_vectors(list(histories.values()))  # [n, width]
        users.update(zip(histories, found, strict=True))
        return users


def _codes(query: Query) -> Codes:
    if query.codes is None:
        raise ValueError(f"a query of kind {query.kind!r} needs codes")
    return query.codes


def _sharing_a_table(jobs: Sequence[Job]) -> dict[CodeTable, list[int]]:
    """The positions of jobs with a history, by what makes vectors of it."""
    groups: dict[CodeTable, list[int]] = defaultdict(list)
    for position, (snapshot, query) in enumerate(jobs):
        if query.kind == "next":
            groups[snapshot.adapter.table].append(position)
    return groups


def _sharing_a_search(jobs: Sequence[Job]) -> dict[tuple[DomainSnapshot, Filter | None], list[int]]:
    """The positions of jobs with a vector to look for, by what they search and how they filter it."""
    groups: dict[tuple[DomainSnapshot, Filter | None], list[int]] = defaultdict(list)
    for position, (snapshot, query) in enumerate(jobs):
        if query.kind != "popular":
            groups[snapshot, query.wanted].append(position)
    return groups


def _selection(query: Query) -> Selection:
    return Selection(query.limit, query.exclude, query.seen)


def _scored(hits: Sequence[Hit], source: Source) -> list[ScoredItem]:
    return [ScoredItem(hit.item_id, hit.score, source) for hit in hits]
