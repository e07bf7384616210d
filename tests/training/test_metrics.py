"""Ranking metrics, beside an implementation that takes its time."""

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codes import Codes
from tests.tiny_models import LAYOUT, WIDTH, tiny_table
from training.histories import Histories, Targets
from training.metrics import Ranker, ranking_metrics

ITEMS = 60


def random_codes(seed: int, distinct: int) -> Codes:
    """Codes of ITEMS items, of which many are the same."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(LAYOUT.codebook_size, size=(distinct, LAYOUT.num_codebooks))
    return cast(Codes, kinds[rng.integers(distinct, size=ITEMS)].astype(LAYOUT.dtype))


def random_users(seed: int, count: int) -> npt.NDArray[np.float32]:
    users = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return np.asarray(users / np.linalg.norm(users, axis=1, keepdims=True), dtype=np.float32)


def random_targets(seed: int, users: int) -> Targets:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, size=users)
    histories = Histories(
        tuple(f"u{user:04d}" for user in range(users)),
        rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
        np.cumsum([0, *lengths]),
    )
    return Targets(histories, rng.integers(ITEMS, size=users).astype(np.int32))


def naive_rank(
    user: npt.NDArray[np.float32], codes: Codes, popularity: list[int], history: set[int], target: int
) -> int:
    """By score of the code, then items not had, then popularity, then item id."""
    vectors = tiny_table(0).normalized(codes).astype(np.float64)
    scores = {code.tobytes(): float(vector @ user) for code, vector in zip(codes, vectors, strict=True)}
    keys = [(-scores[code.tobytes()], item in history, -popularity[item], item) for item, code in enumerate(codes)]
    return sorted(range(ITEMS), key=keys.__getitem__).index(target)


@given(seed=st.integers(0, 2**31), distinct=st.integers(1, ITEMS), users=st.integers(1, 20))
@settings(max_examples=30)
def test_ranks_are_those_of_sorting_the_whole_catalogue(seed: int, distinct: int, users: int) -> None:
    codes, targets = random_codes(seed, distinct), random_targets(seed, users)
    popularity = np.random.default_rng(seed).integers(4, size=ITEMS)
    vectors = random_users(seed, users)
    ranks = Ranker.over(codes, tiny_table(0), popularity).ranks(vectors, targets)
    assert ranks.tolist() == [
        naive_rank(vectors[user], codes, popularity.tolist(), set(targets.histories[user].tolist()), target)
        for user, target in enumerate(targets.items.tolist())
    ]


def test_more_users_than_are_ranked_at_a_time_are_ranked_alike() -> None:
    targets, vectors = random_targets(0, 1100), random_users(0, 1100)
    ranker = Ranker.over(random_codes(0, 20), tiny_table(0), np.arange(ITEMS))
    together = ranker.ranks(vectors, targets)
    for user in (0, 511, 512, 1099):
        one = Targets(
            Histories(("u",), targets.histories[user], np.array([0, len(targets.histories[user])])),
            targets.items[user : user + 1],
        )
        assert ranker.ranks(vectors[user : user + 1], one)[0] == together[user]


def test_among_items_of_one_code_those_not_had_come_first_then_the_popular_then_the_smaller_id() -> None:
    codes: Codes = np.zeros((5, LAYOUT.num_codebooks), dtype=LAYOUT.dtype)
    popularity = np.array([1, 9, 1, 5, 9])
    ranker = Ranker.over(codes, tiny_table(0), popularity)
    history = Histories(("u",), np.array([1, 1], dtype=np.int32), np.array([0, 2]))
    order = [
        int(ranker.ranks(random_users(0, 1), Targets(history, np.array([item], dtype=np.int32)))[0])
        for item in range(5)
    ]
    assert order == [2, 4, 3, 1, 0]  # 4, 3, 0, 2, and last 1, which the user has had


@given(st.lists(st.integers(0, 200), min_size=1, max_size=50))
def test_metrics_are_the_textbooks(ranks: list[int]) -> None:
    metrics = ranking_metrics(np.array(ranks))
    assert list(metrics) == ["recall@10", "ndcg@10", "recall@50", "ndcg@50", "mrr"]
    for k in (10, 50):
        assert metrics[f"recall@{k}"] == pytest.approx(sum(rank < k for rank in ranks) / len(ranks))
        gains = [1 / math.log2(rank + 2) for rank in ranks if rank < k]
        assert metrics[f"ndcg@{k}"] == pytest.approx(sum(gains) / len(ranks))
    assert metrics["mrr"] == pytest.approx(sum(1 / (rank + 1) for rank in ranks) / len(ranks))


def test_the_best_and_the_worst_there_is() -> None:
    assert set(ranking_metrics(np.zeros(3, dtype=np.int64)).values()) == {1.0}
    worst = ranking_metrics(np.full(3, 10_000))
    assert worst.pop("mrr") == pytest.approx(1e-4, rel=1e-3)
    assert set(worst.values()) == {0.0}
