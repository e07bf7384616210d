"""The sample shops: the same for a seed, believable, and with something to learn that text alone does not tell."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from training.dataset import Dataset, load_dataset
from training.histories import split_leave_one_out
from training.sample_data import generate, write_sample

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return [load_dataset(folder) for folder in write_sample(tmp_path_factory.mktemp("sample"), seed=0)]


def test_a_seed_makes_the_same_shops_and_another_makes_others() -> None:
    one, again, other = generate(1, users=50), generate(1, users=50), generate(2, users=50)
    for shop, same, different in zip(one, again, other, strict=True):
        assert shop.items.equals(same.items)
        assert shop.interactions.equals(same.interactions)
        assert not shop.interactions.equals(different.interactions)


def test_there_are_two_shops_of_a_size_to_train_on_in_minutes(shops: list[Dataset]) -> None:
    assert len(shops) == 2
    for shop in shops:
        assert len(shop.items) == 420
        assert len(shop.histories) == 2500
        assert (shop.histories.lengths.min(), shop.histories.lengths.max()) == (4, 15)
        assert (split_leave_one_out(shop.histories).train.item_counts(len(shop.items)) > 0).all()


def test_items_have_distinct_texts_and_attributes_to_filter_by(shops: list[Dataset]) -> None:
    for shop in shops:
        assert len(set(shop.texts)) == len(shop.texts)
        for attributes in shop.attributes:
            assert {name: type(value) for name, value in attributes.items()} == {
                "title": str,
                "brand": str,
                "category": str,
                "price": float,
                "in_stock": bool,
            }


def test_the_shops_share_no_item_and_yet_brands_and_phrases(shops: list[Dataset]) -> None:
    outdoor, garden = shops
    assert not set(outdoor.item_ids) & set(garden.item_ids)
    brands = [
        {attributes["brand"] for attributes in shop.attributes if isinstance(attributes["brand"], str)}
        for shop in shops
    ]
    assert len(brands[0] & brands[1]) >= 4
    words = [{word for text in shop.texts for word in text.split()} for shop in shops]
    assert len(words[0] & words[1]) > 100


def test_the_log_is_clean(tmp_path: Path) -> None:
    for shop in generate(3, users=100):
        ordered = shop.interactions.sort("user_id", "timestamp", maintain_order=True)
        assert shop.interactions.equals(ordered)
        assert not shop.interactions.select("user_id", "timestamp").is_duplicated().any()
        assert shop.interactions["timestamp"].dtype == pl.Int64


def test_the_next_item_follows_from_the_history_more_than_from_text_and_from_text_more_than_from_popularity(
    shops: list[Dataset],
) -> None:
    for shop in shops:
        split = split_leave_one_out(shop.histories)
        last = split.test.histories.items[split.test.histories.offsets[1:] - 1]
        popularity = split.train.item_counts(len(shop.items)).astype(np.float64)
        by_popularity = recall(np.tile(popularity, (len(last), 1)), split.test.items)
        by_text = recall(text_similarity(shop.texts)[last], split.test.items)
        by_bigrams = recall(bigrams(shop)[last] + 1e-6 * popularity, split.test.items)
        assert by_bigrams > 2 * by_text
        assert by_text > 2 * by_popularity


def bigrams(shop: Dataset) -> Floats:
    """How often item j came right after item i in training: [items, items]."""
    train = split_leave_one_out(shop.histories).train
    follows = train.users[1:] == train.users[:-1]
    counts = np.zeros((len(shop.items), len(shop.items)))
    np.add.at(counts, (train.items[:-1][follows], train.items[1:][follows]), 1)
    return counts


def text_similarity(texts: list[str]) -> Floats:
    """Cosine of bags of words, each weighted by how rare it is: [items, items]."""
    bags = [set(re.findall(r"\w+", text.lower())) for text in texts]
    words = sorted(set().union(*bags))
    present = np.array([[word in bag for word in words] for bag in bags], dtype=np.float64)  # [items, words]
    weighted = present * np.log(len(texts) / present.sum(axis=0))
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    return np.asarray(weighted @ weighted.T)


def recall(scores: Floats, targets: npt.NDArray[np.int32], k: int = 10) -> float:
    """Recall@k over the whole catalogue, items seen not removed."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((top == targets[:, None]).any(axis=1).mean())
