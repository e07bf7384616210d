"""Popularity: what sells best, for everyone."""

import numpy as np

from training.baselines.popularity import popularity_scorer
from training.histories import Histories, split_leave_one_out


def test_an_item_scores_its_interactions_in_training_alone_and_the_same_for_everyone() -> None:
    histories = Histories(
        ("u", "v"), np.array([2, 2, 0, 1, 1, 0, 2, 4, 4], dtype=np.int32), np.array([0, 5, 9])
    )  # the last two of each are targets
    scores = popularity_scorer(split_leave_one_out(histories), num_items=6).scores(
        [np.array([1], dtype=np.int32), np.array([0, 3], dtype=np.int32)]
    )
    assert scores.dtype == np.float32
    assert scores.tolist() == [[2, 0, 3, 0, 0, 0]] * 2
