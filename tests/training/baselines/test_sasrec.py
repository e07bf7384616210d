"""SASRec on the sample shop: it learns, from its seed alone, and knows nothing of items that were never bought."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.training.baselines.training_runs import CONFIG, ndcg, with_fit
from tests.training.small_shop import SmallShops
from training.baselines.popularity import popularity_scorer
from training.baselines.sasrec import train_sasrec
from training.checkpoint import CheckpointFolder
from training.histories import Split, split_leave_one_out

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def split(shops: SmallShops) -> Split:
    return split_leave_one_out(shops.dataset().histories)


def some_scores(split: Split, num_items: int, at: Path, **fit: object) -> npt.NDArray[np.float32]:
    config = with_fit(max_epochs=1, **fit)
    return train_sasrec(split, num_items, config, CheckpointFolder(at)).scores([split.train[0]])


def test_it_is_better_than_popularity(shops: SmallShops, split: Split, tmp_path: Path) -> None:
    num_items = len(shops.dataset().items)
    scorer = train_sasrec(split, num_items, CONFIG, CheckpointFolder(tmp_path))
    popularity = popularity_scorer(split, num_items)
    assert ndcg(scorer, split.test, popularity) > 4 * ndcg(popularity, split.test, popularity)


def test_the_seed_decides_alone(shops: SmallShops, split: Split, tmp_path: Path) -> None:
    num_items = len(shops.dataset().items)
    first = some_scores(split, num_items, tmp_path / "a")
    np.testing.assert_array_equal(first, some_scores(split, num_items, tmp_path / "b"))
    assert not np.array_equal(first, some_scores(split, num_items, tmp_path / "c", seed=1))


def test_what_was_never_bought_comes_last(shops: SmallShops, split: Split, tmp_path: Path) -> None:
    num_items = len(shops.dataset().items) + 3
    scores = some_scores(split, num_items, tmp_path)[0]
    bought = split.train.item_counts(num_items) > 0
    assert scores[bought].min() > scores[~bought].max()
