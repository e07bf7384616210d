"""The nearest text: cosine with the last item."""

import numpy as np

from training.baselines.nearest_text import nearest_text_scorer


def test_scores_are_cosines_with_the_last_item_whatever_the_lengths_of_the_vectors() -> None:
    texts = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float16)
    texts[7] *= 3
    histories = [np.array([1, 7], dtype=np.int32), np.array([4], dtype=np.int32)]
    exact = texts.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    scores = nearest_text_scorer(texts).scores(histories)
    np.testing.assert_allclose(scores, exact[[7, 4]] @ exact.T, atol=1e-6)
    assert scores.dtype == np.float32
    assert scores.argmax(axis=1).tolist() == [7, 4]  # that item included


def test_items_with_the_same_text_tie() -> None:
    texts = np.random.default_rng(0).standard_normal((50, 48)).astype(np.float16)
    texts[49] = texts[3]
    scores = nearest_text_scorer(texts).scores([np.array([item], dtype=np.int32) for item in range(50)])
    np.testing.assert_array_equal(scores[:, 49], scores[:, 3])
