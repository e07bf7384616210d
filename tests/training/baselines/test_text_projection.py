"""Projected texts on the sample shop: it learns, and ranks what was never bought by its text."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.text_encoder import TextEncoder
from tests.training.baselines.training_runs import CONFIG, ndcg
from tests.training.small_shop import SmallShops
from training.baselines.nearest_text import nearest_text_scorer
from training.baselines.popularity import popularity_scorer
from training.baselines.text_projection import Preparation, TextProjection, prepared, train_text_projection
from training.checkpoint import CheckpointFolder
from training.histories import split_leave_one_out
from training.text_vectors import encode_texts

TRAINED = np.arange(300) < 200


def random_texts() -> npt.NDArray[np.float16]:
    """Vectors with a mean, correlated, and others where items are not trained."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 6)) @ (np.eye(6) + 0.2 * rng.standard_normal((6, 6))) + 2
    vectors[~TRAINED] *= 5
    return (vectors / 5).astype(np.float16)


def test_raw_texts_stay_as_they_are() -> None:
    np.testing.assert_array_equal(prepared(random_texts(), TRAINED, "raw"), random_texts().astype(np.float32))


def test_standardised_texts_have_mean_zero_and_equal_variances_over_the_trained_items() -> None:
    vectors = prepared(random_texts(), TRAINED, "standardised")
    np.testing.assert_allclose(vectors[TRAINED].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(6 * vectors[TRAINED].var(axis=0), 1, rtol=1e-3)


def test_whitened_texts_have_no_correlation_over_the_trained_items() -> None:
    vectors = prepared(random_texts(), TRAINED, "whitened")
    np.testing.assert_allclose(6 * np.cov(vectors[TRAINED], rowvar=False), np.eye(6), atol=1e-3)


@pytest.mark.parametrize("preparation", ["standardised", "whitened"])
def test_a_dimension_that_was_constant_in_training_is_not_blown_up(preparation: Preparation) -> None:
    texts = random_texts()
    texts[:, 0] = np.where(TRAINED, 0.25, 0.27)
    ratio = (
        np.linalg.norm(prepared(texts, TRAINED, preparation)[~TRAINED], axis=1).max() / 5
    )  # those vary 5 times as much
    assert ratio < 10


def test_items_with_the_same_text_have_the_same_vector_to_the_last_bit() -> None:
    texts = np.random.default_rng(0).standard_normal((51, 48)).astype(np.float32)
    texts[50] = texts[7]
    vectors = TextProjection(texts, width=20)().detach().numpy()
    assert vectors.shape == (51, 20)
    assert (vectors[50] == vectors[7]).all()
    assert len(np.unique(vectors, axis=0)) == 50


@pytest.mark.training
def test_it_is_better_than_the_nearest_text_and_ranks_what_was_never_bought_by_its_text(
    shops: SmallShops, tmp_path: Path
) -> None:
    dataset = shops.dataset()
    split = split_leave_one_out(dataset.histories)
    texts = encode_texts(dataset.texts, TextEncoder.load(shops.encoder, 1), tmp_path)
    with_twin = np.concatenate([texts, texts[:1]])  # the last item is new and has the first one's text
    scorer = train_text_projection(split, with_twin, CONFIG, CheckpointFolder(tmp_path))
    popularity = popularity_scorer(split, len(with_twin))
    assert ndcg(scorer, split.test, popularity) > 1.2 * ndcg(nearest_text_scorer(with_twin), split.test, popularity)
    scores = scorer.scores(list(split.test.histories))
    np.testing.assert_array_equal(scores[:, -1], scores[:, 0])
