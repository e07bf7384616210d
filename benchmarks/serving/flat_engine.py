"""What the peers serve with: the same network, and a FAISS flat index over the same item vectors."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.store import store_of
from models.user_network import UserNetwork

Answer = list[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class FlatEngine:
    """Histories of item ids ─► the best items, those of the history left out.

    Args:
        ids: of the items.
        slots: the inverse.
        vectors: what the network reads, float32 [n, width]; kept, which at 10,000 items costs 12 MB.
        index: inner products with the normalised vectors.
        network: the backbone's.
    """

    ids: list[str]
    slots: dict[str, int]
    vectors: npt.NDArray[np.float32]
    index: faiss.IndexFlatIP
    network: UserNetwork

    @classmethod
    def load(cls, adapter_path: Path, catalogue: Path, threads: int) -> "FlatEngine":
        adapter = DomainAdapter.load(adapter_path)
        store, sha256 = store_of(adapter_path), adapter.bundle.manifest.backbone
        network = Backbone.load(store.find(store.backbones, sha256), threads, sha256).network
        network.warm_up()
        ids, codes = json.loads((catalogue / "ids.json").read_text()), np.load(catalogue / "codes.npy")
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexFlatIP(adapter.table.width)
        index.add(adapter.table.normalized(codes))
        return cls(ids, {item_id: slot for slot, item_id in enumerate(ids)}, adapter.table.raw(codes), index, network)

    def recommend(self, histories: Sequence[Sequence[str]], limit: int) -> list[Answer]:
        """The answers to some histories, of which each holds a known item."""
        slots = [[self.slots[item_id] for item_id in history if item_id in self.slots] for history in histories]
        users = self.network.user_vectors([self.vectors[history] for history in slots])
        most = limit + max(len(set(history)) for history in slots)
        scores, found = self.index.search(users, most)
        return [
            self._answer(row_scores, row_slots, set(history), limit)
            for row_scores, row_slots, history in zip(scores.tolist(), found.tolist(), slots, strict=True)
        ]

    def _answer(self, scores: Sequence[float], slots: Sequence[int], seen: set[int], limit: int) -> Answer:
        kept = [(self.ids[slot], score) for slot, score in zip(slots, scores, strict=True) if slot not in seen]
        return kept[:limit]
