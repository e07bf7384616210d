"""The artifact as a scorer says what ``vqrec evaluate`` says."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import MAX_HISTORY, write_tiny_store
from training.dataset import Dataset, Items
from training.evaluate import ServedModel, evaluate
from training.evaluation.adapter_scorer import AdapterScorer
from training.evaluation.quality import Catalogue, measure
from training.histories import Histories, split_leave_one_out
from training.text_vectors import encode_texts

ITEMS, USERS = 40, 60


def dataset() -> Dataset:
    """Random histories, some longer than the tiny network sees; every text comes twice, so that codes tie."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, MAX_HISTORY + 7, size=USERS)
    texts = [f"text of {n // 2 * 101}" for n in range(ITEMS)]
    return Dataset(
        Items(tuple(f"i{n:02d}" for n in range(ITEMS)), texts, [{}] * ITEMS),
        Histories(
            tuple(f"u{n:02d}" for n in range(USERS)),
            rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
            np.cumsum([0, *lengths]),
        ),
    )


def test_quality_of_an_adapter_holds_the_metrics_of_evaluating_it(tmp_path: Path) -> None:
    data = dataset()
    tiny = write_tiny_store(tmp_path, popularity={"i03": 4, "i20": 9})
    model = ServedModel.load(tiny.adapter.path)
    texts = encode_texts(data.texts, model.encoder, model.cache)
    scorer, split = AdapterScorer.over(model, data.item_ids, texts), split_leave_one_out(data.histories)
    quality = measure(scorer, scorer.ties, split.test, Catalogue.of(split, ITEMS, texts))
    assert quality.everyone.metrics == pytest.approx(evaluate(data, tiny.adapter.path).test)
    assert quality.everyone.users == USERS


def test_ties_are_decided_by_the_popularity_that_the_adapter_holds(tmp_path: Path) -> None:
    data = dataset()
    model = ServedModel.load(write_tiny_store(tmp_path, popularity={"i03": 4, "i20": 9}).adapter.path)
    scorer = AdapterScorer.over(model, data.item_ids, encode_texts(data.texts, model.encoder, model.cache))
    assert np.argsort(scorer.ties.places)[:4].tolist() == [20, 3, 0, 1]
