"""What a shop on the tiny models must answer, in plain Python and numpy: no index, no segments, no batches, no Redis.

Only what turns a text into a code is the service's own (:mod:`models`): everything behind it is done once more.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from models.adapter import DomainAdapter
from models.backbone import GRAPH_FILE
from models.bundle import Bundle
from models.manifest import AdapterManifest
from models.text_encoder import TextEncoder
from tests.plain_filters import fulfils
from tests.tiny_models import MAX_HISTORY, TinyStore

Vector = npt.NDArray[np.float64]
Code = tuple[int, ...]
Attributes = dict[str, Any]

NEAR = 1e-4  # the service computes in float32


@dataclass(frozen=True)
class Item:
    """An item as it was put; ``text`` with white space collapsed."""

    text: str
    attributes: Attributes = field(default_factory=dict)
    available: bool = True

    @property
    def as_json(self) -> str:
        """What tells items apart: 1, 1.0 and true are three values."""
        return json.dumps([self.text, self.attributes, self.available], sort_keys=True)


@dataclass(frozen=True)
class Scored:
    """An item that may come: its code (items of one code tie), score and what decides a tie."""

    item_id: str
    code: Code
    score: float
    seen: bool
    popularity: int


class PlainAdapter:
    """A tiny adapter and the tiny network, by their formulas."""

    def __init__(self, store: TinyStore, bundle: Bundle[AdapterManifest], encoder: TextEncoder) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.source = str(bundle.path.relative_to(store.root))
        self._adapter = DomainAdapter.load(bundle.path)
        self.popularity: Mapping[str, int] = self._adapter.popularity
        self.quantizer = self._adapter.quantizer.sha256
        self._encoder, self._codes = encoder, dict[str, Code]()
        graph = onnx.load_from_string(store.backbone.read_bytes(GRAPH_FILE)).graph
        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._weight = weights["weight"].astype(np.float64)  # [width, width]

    def code(self, text: str) -> Code:
        if text not in self._codes:
            vector = self._encoder.encode([text]).astype(np.float16)
            self._codes[text] = tuple(int(index) for index in self._adapter.quantizer.encode(vector)[0])
        return self._codes[text]

    def vector(self, code: Code) -> Vector:
        """The mean of the code's rows: [width]."""
        size = self._adapter.quantizer.layout.codebook_size
        rows = [self._adapter.table.rows[book * size + index] for book, index in enumerate(code)]
        return np.asarray(np.mean(np.array(rows, dtype=np.float64), axis=0))

    def user(self, codes: Sequence[Code]) -> Vector:
        """The user vector of a history, oldest first: what comes later weighs more."""
        recent = codes[-MAX_HISTORY:]
        total = sum(rank * (self.vector(code) @ self._weight) for rank, code in enumerate(recent, start=1))
        return _unit(np.asarray(total))

    def score(self, user: Vector, code: Code) -> float:
        return float(user @ _unit(self.vector(code)))


@dataclass
class ShopModel:
    """A domain: its items, the adapter that serves and the one before."""

    adapter: PlainAdapter
    previous: PlainAdapter | None = None
    items: dict[str, Item] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def put(self, item_id: str, item: Item) -> str:
        """Store an item; what the service must call it."""
        before = self.items.get(item_id)
        self.items[item_id] = item
        return "created" if before is None else "unchanged" if before.as_json == item.as_json else "updated"

    def patch(self, item_id: str, attributes: Mapping[str, Any] | None, available: bool | None) -> str:
        before = self.items[item_id]
        merged = {**before.attributes, **(attributes or {})}
        kept = {name: value for name, value in merged.items() if value is not None}
        return self.put(
            item_id, replace(before, attributes=kept, available=before.available if available is None else available)
        )

    def swap(self, adapter: PlainAdapter) -> None:
        if adapter is not self.adapter:
            self.adapter, self.previous = adapter, self.adapter

    def unknown(self, history: Sequence[Any]) -> list[str]:
        """The ids of a history that the shop does not know, each once."""
        ids = [_id_of(entry) for entry in history]
        return list(dict.fromkeys(each for each in ids if each is not None and each not in self.items))

    def offered(self) -> dict[str, Attributes]:
        """The attributes of each item that can be recommended, the most popular first."""
        ids = sorted(self.items, key=lambda item_id: (-self.adapter.popularity.get(item_id, 0), item_id))
        return {item_id: self.items[item_id].attributes for item_id in ids if self.items[item_id].available}

    def check_recommended(self, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Fail unless the service answered a request as it must."""
        history: Sequence[Any] = request["history"]
        ids = {each for each in map(_id_of, history) if each is not None}
        codes = [code for code in map(self._code_of, history) if code is not None]
        excluded = {*request.get("exclude_item_ids", ()), *(ids if request.get("exclude_history", True) else ())}
        wanted = request.get("filter") or {}
        falls_back = not codes and request.get("fallback", "popular") == "popular"
        assert answer["adapter_version"] == self.adapter.version
        assert answer["unknown_history_items"] == self.unknown(history)
        assert answer["fallback"] is falls_back
        limit = request.get("limit", 10)
        if codes:
            user = self.adapter.user(codes)
            self._check(answer["items"], self._candidates(user, wanted, excluded, ids), limit, "model")
        elif falls_back:
            self._check(answer["items"], self._candidates(None, wanted, excluded, set()), limit, "popular")
        else:
            assert answer["items"] == []
        for item in answer["items"]:
            expected = self.items[item["item_id"]].attributes if request.get("return_attributes") else None
            assert json.dumps(item.get("attributes"), sort_keys=True) == json.dumps(expected, sort_keys=True)

    def check_similar(self, item_id: str, limit: int, answer: Mapping[str, Any]) -> None:
        """Fail unless the service found what is nearest to an item."""
        nearest_to = _unit(self.adapter.vector(self.adapter.code(self.items[item_id].text)))
        assert answer["adapter_version"] == self.adapter.version
        self._check(answer["items"], self._candidates(nearest_to, {}, {item_id}, set()), limit, "model")

    def _candidates(
        self, user: Vector | None, wanted: Mapping[str, Any], excluded: set[str], seen: set[str]
    ) -> list[Scored]:
        found = []
        for item_id, item in self.items.items():
            if item.available and item_id not in excluded and fulfils(item.attributes, wanted):
                code, popularity = self.adapter.code(item.text), self.adapter.popularity.get(item_id, 0)
                score = float(popularity) if user is None else self.adapter.score(user, code)
                found.append(Scored(item_id, code, score, item_id in seen, popularity))
        return found

    def _check(
        self, served: Sequence[Mapping[str, Any]], candidates: Iterable[Scored], limit: int, source: str
    ) -> None:
        """Compare what came with what could: scores nearly, the order within a score and what was left out exactly."""
        by_id = {candidate.item_id: candidate for candidate in candidates}
        ids = [item["item_id"] for item in served]
        assert set(ids) <= by_id.keys(), "an item came that may not"
        assert len(set(ids)) == len(ids) == min(limit, len(by_id)), (len(set(ids)), len(ids), len(by_id))
        exact: dict[Code, float] = {}
        for item in served:
            candidate = by_id[item["item_id"]]
            assert item["source"] == source
            assert abs(item["score"] - candidate.score) <= (0 if source == "popular" else NEAR), (item, candidate)
            if source == "model":
                assert exact.setdefault(candidate.code, item["score"]) == item["score"], "one code, two scores"
        # Two codes may lie nearer to each other than float32 can tell: there the served scores decide.
        scores = [item["score"] for item in served]
        assert scores == sorted(scores, reverse=True)
        ranks = [_rank(by_id[item["item_id"]], item["score"]) for item in served]
        assert ranks == sorted(ranks), "items of one score are in the wrong order"
        for left_out in by_id.keys() - set(ids):
            candidate = by_id[left_out]
            assert candidate.score <= scores[-1] + NEAR
            score = candidate.score if source == "popular" else exact.get(candidate.code)
            assert score is None or _rank(candidate, score) > ranks[-1], "the wrong one of equals was left out"

    def _code_of(self, entry: Any) -> Code | None:
        if isinstance(entry, dict) and "text" in entry:
            return self.adapter.code(collapsed(entry["text"]))
        item = self.items.get(str(_id_of(entry)))
        return self.adapter.code(item.text) if item else None


def collapsed(text: str) -> str:
    """A text as the service keeps it."""
    return " ".join(text.split())


def _id_of(entry: Any) -> str | None:
    return entry.get("item_id") if isinstance(entry, dict) else entry


def _rank(candidate: Scored, score: float) -> tuple[float, bool, int, str]:
    """Smaller comes first: docs/decisions/0009."""
    return -score, candidate.seen, -candidate.popularity, candidate.item_id


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))
