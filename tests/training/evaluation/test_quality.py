"""Quality in more than one number, on a shop whose figures can be told beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from training.errors import DataError
from training.evaluation.quality import Catalogue, UserGroup, measure
from training.histories import Histories, Split, Targets, split_leave_one_out
from training.metrics import ranking_metrics
from training.ranking import TieOrder, target_ranks

ITEMS = 60


@dataclass(frozen=True)
class FixedScorer:
    """The same scores for everyone."""

    row: npt.NDArray[np.float32]

    def scores(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        return np.repeat(self.row[None], len(histories), axis=0)


def split_of(*histories: list[int]) -> Split:
    lengths = [len(history) for history in histories]
    items = np.array([item for history in histories for item in history], dtype=np.int32)
    return split_leave_one_out(
        Histories(tuple(f"u{n}" for n in range(len(histories))), items, np.cumsum([0, *lengths]))
    )


SPLIT = split_of(
    [7, 7, 7, 7, 7, 9, 0],  # 7: five times in training
    [8, 8, 8, 8, 9, 7],  # the target is warm
    [5, 9, 8],  # cold: 8 is there four times
    [5, 9, 5],  # cold
)  # and the first user's target, 0, is never seen
FIRST_TO_LAST = FixedScorer(-np.arange(ITEMS, dtype=np.float32))
NO_TIES = TieOrder.by_popularity(np.zeros(ITEMS, dtype=np.int64))


def test_users_are_told_apart_by_how_often_their_target_was_bought() -> None:
    quality = measure(FIRST_TO_LAST, NO_TIES, SPLIT.test, Catalogue.of(SPLIT, ITEMS))
    groups = (quality.everyone, quality.warm, quality.cold, quality.never_seen)
    assert [group.users for group in groups] == [4, 1, 2, 1]
    assert [group.metrics["mrr"] for group in groups] == [
        pytest.approx(value) for value in ((1 + 1 / 8 + 1 / 9 + 1 / 6) / 4, 1 / 8, (1 / 9 + 1 / 6) / 2, 1)
    ]


def test_everyones_metrics_are_those_of_the_ranks() -> None:
    rng = np.random.default_rng(0)
    scorer = FixedScorer(rng.standard_normal(ITEMS).astype(np.float32))
    quality = measure(scorer, NO_TIES, SPLIT.test, Catalogue.of(SPLIT, ITEMS))
    assert quality.everyone.metrics == ranking_metrics(target_ranks(scorer, SPLIT.test, NO_TIES))


def test_lists_are_compared_with_what_was_to_be_found() -> None:
    quality = measure(FIRST_TO_LAST, NO_TIES, SPLIT.test, Catalogue.of(SPLIT, ITEMS)).lists
    assert quality.coverage == pytest.approx(10 / ITEMS)
    assert quality.exposure_gini == pytest.approx(1 - 10 / ITEMS)
    assert quality.popularity == pytest.approx((2 + 5 + 4) / 10)  # of 0 to 9 in training: 5 twice, 7 and 8
    assert quality.target_popularity == pytest.approx((0 + 5 + 4 + 2) / 4)
    assert quality.text_similarity is None
    assert quality.target_text_similarity is None


def test_likeness_of_texts_is_to_the_last_item_before_the_target() -> None:
    texts = np.zeros((ITEMS, 2), dtype=np.float16)
    texts[:, 0] = 1
    texts[9] = texts[7] = (0, 2)
    lists = measure(FIRST_TO_LAST, NO_TIES, SPLIT.test, Catalogue.of(SPLIT, ITEMS, texts)).lists
    assert lists.text_similarity == pytest.approx(2 / 10)  # all end with 9: like 7 and itself
    assert lists.target_text_similarity == pytest.approx(1 / 4)


def test_ties_go_by_what_the_system_was_told_and_groups_by_what_was_bought() -> None:
    level = FixedScorer(np.zeros(ITEMS, dtype=np.float32))
    catalogue = Catalogue.of(SPLIT, ITEMS)
    told, untold = (
        measure(level, TieOrder.by_popularity(counts), SPLIT.test, catalogue)
        for counts in (catalogue.training_counts, np.zeros(ITEMS, dtype=np.int64))
    )
    assert told.warm.metrics["mrr"] == 1
    assert untold.warm.metrics["mrr"] == pytest.approx(1 / 8)  # by item id
    assert told.cold.users == untold.cold.users == 2


def test_without_users_there_is_nothing_to_measure() -> None:
    empty = Targets(Histories((), np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64)), np.empty(0, np.int32))
    with pytest.raises(DataError, match="nothing to evaluate on"):
        measure(FIRST_TO_LAST, NO_TIES, empty, Catalogue.of(SPLIT, ITEMS))


@pytest.mark.parametrize("group", [{"users": 3, "metrics": {}}, {"users": 0, "metrics": {"mrr": 0.5}}])
def test_metrics_of_nobody_and_somebody_without_metrics_are_refused(group: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UserGroup.model_validate(group)
