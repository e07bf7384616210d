"""From a history of ids and texts to recommended items."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from models.codes import Codes
from models.item_text import compose_text
from service.catalog.item import AttributeValue
from service.catalog.snapshot import DomainSnapshot
from service.errors import NotAvailableYetError, PayloadTooLargeError, UnknownItemError
from service.inference.recommender import Query, Recommender, ScoredItem
from service.recommend.aside import run_sized
from service.recommend.schemas import RecommendRequest

MOST_CHARACTERS = 64 << 20
"""Of the attributes in one answer: a single request can hardly ask for so many, and calls of many for a hundred times
as many, more than there is memory."""

_SCALAR_CHARACTERS = 8


class DomainSource(Protocol):
    """Where domains come from, and the models that they share."""

    @property
    def recommender(self) -> Recommender: ...

    def snapshot(self, domain: str) -> DomainSnapshot:
        """The domain as it is now; raises UnknownDomainError."""
        ...

    async def encode_texts(self, domain: str, texts: Sequence[str]) -> npt.NDArray[np.float16]:
        """Text vectors float16 [n, text_dim]."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and how."""

    adapter_version: str
    items: list[ScoredItem]
    unknown_history_items: list[str]
    fallback: bool


@dataclass(frozen=True, slots=True)
class _History:
    """A history as a domain knows it.

    Args:
        codes: [t, D], oldest first.
        texts: of items that were never ingested, by their row in ``codes``, which is blank until they are encoded.
        unknown: ids of no item.
        item_ids: every id.
    """

    codes: Codes
    texts: dict[int, str]
    unknown: list[str]
    item_ids: list[str]


class RecommendService:
    """Answers from one snapshot, taken when a call begins."""

    def __init__(self, domains: DomainSource) -> None:
        self._domains = domains

    async def recommend(self, domain: str, requests: Sequence[RecommendRequest]) -> list[Answer]:
        """The answers to requests, which are accepted all or none.

        Raises:
            UnknownDomainError: if there is no such domain.
            NotAvailableYetError: if an explanation is asked for.
            OverloadedError: if a queue is full.
            PayloadTooLargeError: if the attributes that are asked for are too many.
        """
        if any(request.explain for request in requests):
            raise NotAvailableYetError("explanations are not available yet: leave `explain` out, or set it to false")
        snapshot, recommender = self._domains.snapshot(domain), self._domains.recommender
        count = sum(len(one.history) + len(one.exclude_item_ids) + one.limit for one in requests)
        longest = recommender.max_history
        histories = await run_sized(count, lambda: [_read_history(snapshot, one, longest) for one in requests])
        codes = await self._codes(domain, snapshot, histories)
        queries = await run_sized(count, lambda: list(map(_query, requests, histories, codes)))
        found = await _find(recommender, snapshot, domain, [query for query in queries if query])
        return await run_sized(count, lambda: _answers(snapshot, requests, histories, queries, found))

    async def similar(self, domain: str, item_id: str, limit: int) -> Answer:
        """The items nearest to one, which itself does not come.

        Raises:
            UnknownDomainError, UnknownItemError: if there is no such domain, or no such item in it.
            OverloadedError: if the queue is full.
        """
        snapshot = self._domains.snapshot(domain)
        item = snapshot.get(item_id)
        if item is None:
            raise UnknownItemError(f"the domain {domain!r} has no item {item_id!r}")
        query = Query("similar", limit, item.code[None, :], exclude=frozenset({item_id}))
        found = await self._domains.recommender.recommend(snapshot, query, domain)
        return Answer(snapshot.adapter.version, found, [], fallback=False)

    async def _codes(self, domain: str, snapshot: DomainSnapshot, histories: Sequence[_History]) -> list[Codes]:
        """The codes of each history: [t, D], the texts of all of them encoded together."""
        texts = [text for history in histories for text in history.texts.values()]
        if not texts:
            return [history.codes for history in histories]
        vectors = await self._domains.encode_texts(domain, texts)
        of_texts = iter(await asyncio.to_thread(snapshot.adapter.quantizer.encode, vectors))
        for history in histories:
            for row in history.texts:
                history.codes[row] = next(of_texts)
        return [history.codes for history in histories]


async def _find(
    recommender: Recommender, snapshot: DomainSnapshot, domain: str, queries: Sequence[Query]
) -> list[list[ScoredItem]]:
    if len(queries) == 1:  # as nearly always, and it saves the waiting for many
        return [await recommender.recommend(snapshot, queries[0], domain)]
    return await recommender.recommend_all(snapshot, queries, domain)


def _read_history(snapshot: DomainSnapshot, request: RecommendRequest, longest: int) -> _History:
    item_ids = [entry for entry in request.history if isinstance(entry, str)]
    codes, known = snapshot.codes(item_ids)
    unknown = [] if len(codes) == len(item_ids) else list(dict.fromkeys(compress(item_ids, (~known).tolist())))
    if len(item_ids) == len(request.history):
        return _History(codes[-longest:], {}, unknown, item_ids)
    return _History(*_with_texts(request, codes, known.tolist(), longest), unknown, item_ids)


def _with_texts(
    request: RecommendRequest, codes: Codes, known: Sequence[bool], longest: int
) -> tuple[Codes, dict[int, str]]:
    """The codes [t, D] of a history some of whose entries are texts, whose rows are blank, and each text by its row."""
    blank = np.zeros(codes.shape[1], dtype=codes.dtype)
    of_items, is_known = iter(codes), iter(known)
    entries: list[tuple[Codes, str | None]] = []
    for entry in request.history:
        if not isinstance(entry, str):
            entries.append((blank, compose_text({"text": entry.text})))
        elif next(is_known):
            entries.append((next(of_items), None))
    recent = entries[-longest:]
    texts = {row: text for row, (_, text) in enumerate(recent) if text is not None}
    return cast(Codes, np.stack([code for code, _ in recent])), texts


def _query(request: RecommendRequest, history: _History, codes: Codes) -> Query | None:
    """What is to be searched, or None if nothing is."""
    exclude = frozenset([*request.exclude_item_ids, *(history.item_ids if request.exclude_history else [])])
    if len(codes):
        return Query("next", request.limit, codes, request.filter, exclude, frozenset(history.item_ids))
    if request.fallback == "popular":
        return Query("popular", request.limit, None, request.filter, exclude)
    return None


def _answers(
    snapshot: DomainSnapshot,
    requests: Sequence[RecommendRequest],
    histories: Sequence[_History],
    queries: Sequence[Query | None],
    found: Sequence[list[ScoredItem]],
) -> list[Answer]:
    """The answers to requests; ``found`` is in the order of the queries that are not None."""
    remaining, attributes = iter(found), _Attributes(snapshot)
    return [
        Answer(
            adapter_version=snapshot.adapter.version,
            items=attributes.added(items) if request.return_attributes else items,
            unknown_history_items=history.unknown,
            fallback=query is not None and query.kind == "popular",
        )
        for request, history, query in zip(requests, histories, queries, strict=True)
        for items in [next(remaining) if query else []]
    ]


class _Attributes:
    """Looks up the attributes of the items in one answer, as long as there is room for them."""

    def __init__(self, snapshot: DomainSnapshot) -> None:
        self._snapshot, self._room = snapshot, MOST_CHARACTERS

    def added(self, items: list[ScoredItem]) -> list[ScoredItem]:
        """The items with their attributes; raises PayloadTooLargeError."""
        return [replace(item, attributes=self._of(item.item_id)) for item in items]

    def _of(self, item_id: str) -> dict[str, AttributeValue] | None:
        item = self._snapshot.get(item_id)
        if item is None:
            return None
        self._room -= _characters(item.attributes)
        if self._room < 0:
            raise PayloadTooLargeError(
                f"the attributes in one answer may hold {MOST_CHARACTERS} characters, and these hold more: "
                "ask for fewer items at a time, or leave out `return_attributes`"
            )
        return dict(item.attributes)


def _characters(attributes: Mapping[str, AttributeValue]) -> int:
    return sum(len(name) + _length(value) for name, value in attributes.items())


def _length(value: AttributeValue) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(len, value)) if isinstance(value, list) else _SCALAR_CHARACTERS
