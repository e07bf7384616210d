"""Amazon Reviews 2023: rows with the fields and the oddities of the published files."""

import gzip
import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from training.errors import DataError
from training.readers.amazon2023 import AmazonSource, download_category
from training.readers.bad_rows import BadRows
from training.readers.source import Interaction

META = [
    {
        "main_category": "Musical Instruments",
        "title": "Guitar strap",
        "average_rating": 4.5,
        "features": ["Soft"],
        "description": ["A strap.", "For guitars."],
        "price": 12.99,
        "images": [{"thumb": "https://example.org/x.jpg"}],
        "store": "Strummer",
        "categories": ["Musical Instruments", "Straps"],
        "details": {"Color": "black"},
        "parent_asin": "B0A",
        "bought_together": None,
    },
    {"title": "Tuner", "price": "from 1,299.50", "store": None, "categories": [], "parent_asin": "B0B"},
    {"title": "Pick", "price": "—", "parent_asin": "B0C"},
    {"title": "", "price": None, "store": None, "categories": [], "description": [], "parent_asin": "B0D"},
]  # fmt: skip
REVIEWS = [
    {"rating": 5.0, "title": "Good", "text": "x", "asin": "B0A-black", "parent_asin": "B0A", "user_id": "U1",
     "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": True},
    {"asin": "B0B", "parent_asin": "B0B", "user_id": "U1", "timestamp": 1588687728000},
    {"asin": "B0B", "parent_asin": "B0B", "user_id": "U2", "timestamp": None},
]  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
def test_meta_and_reviews_are_joined_by_the_parent(tmp_path: Path, zipped: bool) -> None:
    source = AmazonSource(tmp_path / "meta_X.jsonl", tmp_path / "X.jsonl")
    for path, rows in zip(source.paths, (META, REVIEWS), strict=True):
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(content) if zipped else content)
    bad_rows = BadRows()
    assert list(source.items(bad_rows)) == [
        {
            "item_id": "B0A",
            "title": "Guitar strap",
            "brand": "Strummer",
            "categories": ["Musical Instruments", "Straps"],
            "description": "A strap. For guitars.",
            "main_category": "Musical Instruments",
            "price": 12.99,
        },
        {"item_id": "B0B", "title": "Tuner", "price": 1299.5},
        {"item_id": "B0C", "title": "Pick"},
    ]
    assert list(source.interactions(bad_rows)) == [
        Interaction("U1", "B0A", 1588687728923),
        Interaction("U1", "B0B", 1588687728000),
    ]
    assert bad_rows.counts == {
        "items": {"the item has no text": 1},
        "interactions": {"timestamp is empty": 1},
    }


def test_reviews_and_meta_given_the_wrong_way_round_is_a_clear_error(tmp_path: Path) -> None:
    meta, reviews = tmp_path / "meta.jsonl", tmp_path / "reviews.jsonl"
    meta.write_text("".join(json.dumps(row) + "\n" for row in META))
    reviews.write_text("".join(json.dumps(row) + "\n" for row in REVIEWS))
    with pytest.raises(DataError, match=r"no row of .*meta.jsonl can be used; the first: .*:1: user_id is empty"):
        list(AmazonSource(reviews, meta).interactions(BadRows()))


def test_without_a_way_to_the_hub_a_category_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # without a network the hub's client tries again for 20 s
    with pytest.raises(DataError, match=r"hub cannot be reached.*raw/meta_categories/meta_Books.jsonl"):
        download_category("Books", cache_folder=tmp_path)
