"""What every server of this benchmark serves: the items of one shop and enough of other shops' beside them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.setting import Setting
from models.codes import Codes
from models.item_text import text_sha256
from service.catalog.record import ItemRecord
from training.dataset import Dataset, Items
from training.evaluate import ServedModel
from training.histories import split_leave_one_out

DOMAIN = "scientific"
FURTHER_DOMAINS = ("office", "toys", "beauty", "sports")
ITEMS = 10_000
LIMIT = 10
_SEED = 0


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items with their codes under the shop's adapter, and what shoppers ask.

    Args:
        items: what is ingested.
        codes: [n, D].
        histories: of the test split, in a random order, as positions in ``items``.
    """

    items: Items
    codes: Codes
    histories: list[list[int]]

    @classmethod
    def build(cls, setting: Setting, dataset: Dataset, model: ServedModel) -> "Catalogue":
        items = dataset.items
        for domain in FURTHER_DOMAINS:
            if len(items) < ITEMS:
                items = _with_more(items, setting.dataset(domain).items)
        test = split_leave_one_out(dataset.histories).test.histories
        order = np.random.default_rng(_SEED).permutation(len(test))
        histories = [[int(item) for item in test[int(user)]] for user in order]
        return cls(items, model.encode_items(items.texts), histories)

    def records(self) -> Iterator[tuple[str, ItemRecord]]:
        """Id and record of each item."""
        for item_id, text, attributes in zip(self.items.item_ids, self.items.texts, self.items.attributes, strict=True):
            yield item_id, ItemRecord(text=text, text_sha256=text_sha256(text), attributes=attributes, available=True)

    def bodies(self) -> list[bytes]:
        """The request of each history."""
        ids = self.items.item_ids
        return [
            json.dumps({"history": [ids[item] for item in history], "limit": LIMIT}, separators=(",", ":")).encode()
            for history in self.histories
        ]

    def save(self, folder: Path) -> None:
        """Write what other processes need: ``ids.json`` and ``codes.npy`` to serve, ``bodies.jsonl`` to ask."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ids.json").write_text(json.dumps(self.items.item_ids))
        np.save(folder / "codes.npy", self.codes)
        (folder / "bodies.jsonl").write_bytes(b"\n".join(self.bodies()) + b"\n")


def _with_more(items: Items, others: Items) -> Items:
    """``items`` with as many of ``others`` behind them as there is room for; their order stays, so positions hold."""
    known = set(items.item_ids)
    places = [place for place, item_id in enumerate(others.item_ids) if item_id not in known][: ITEMS - len(items)]

    def both(first: Sequence[object], second: Sequence[object]) -> list[object]:
        return [*first, *(second[place] for place in places)]

    return Items(
        tuple(str(item_id) for item_id in both(items.item_ids, others.item_ids)),
        [str(text) for text in both(items.texts, others.texts)],
        [*items.attributes, *(others.attributes[place] for place in places)],
    )
