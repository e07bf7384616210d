"""Ranking a catalogue for any scorer, beside an implementation that sorts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import DataError
from training.histories import Histories, Targets, offsets_of
from training.ranking import TieOrder, rank_catalogue, target_ranks

ITEMS = 40


@dataclass
class TabledScorer:
    """A user's scores stand in the row that their history begins with; remembers how many were asked for at a time."""

    table: npt.NDArray[np.float32]
    asked: list[int] = field(default_factory=list)

    def scores(self, histories: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        self.asked.append(len(histories))
        return self.table[[history[0] for history in histories]]


def tied_scores(rng: np.random.Generator, kinds: int) -> npt.NDArray[np.float32]:
    """[ITEMS, ITEMS] of so few kinds of score that most of them tie, some of them zero of either sign."""
    values = np.array([0.0, -0.0, *rng.standard_normal(kinds), -np.inf], dtype=np.float32)
    return values[rng.integers(len(values), size=(ITEMS, ITEMS))]


def some_targets(rng: np.random.Generator, users: int) -> Targets:
    lengths = rng.integers(1, 9, size=users)
    histories = Histories(
        tuple(f"u{user:04d}" for user in range(users)),
        rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
        offsets_of(lengths),
    )
    return Targets(histories, rng.integers(ITEMS, size=users).astype(np.int32))


def sorted_items(scores: npt.NDArray[np.float32], history: set[int], popularity: npt.NDArray[np.int64]) -> list[int]:
    """By score, then not had before had, then popularity, then item id."""
    keys = [(-float(scores[item]), item in history, -int(popularity[item]), item) for item in range(ITEMS)]
    return sorted(range(ITEMS), key=keys.__getitem__)


@given(seed=st.integers(0, 2**31), kinds=st.integers(0, 20), users=st.integers(1, 12), k=st.integers(1, ITEMS + 5))
@settings(max_examples=60)
def test_ranks_and_lists_are_those_of_sorting_the_catalogue(seed: int, kinds: int, users: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    table, targets = tied_scores(rng, kinds), some_targets(rng, users)
    popularity = rng.integers(4, size=ITEMS)
    ranked = rank_catalogue(TabledScorer(table), targets, TieOrder.by_popularity(popularity), k)
    for user, history in enumerate(targets.histories):
        expected = sorted_items(table[history[0]], set(history.tolist()), popularity)
        assert ranked.top[user].tolist() == expected[:k]
        assert ranked.ranks[user] == expected.index(int(targets.items[user]))


@given(seed=st.integers(0, 2**31), kinds=st.integers(0, 20), users=st.integers(1, 12))
@settings(max_examples=60)
def test_among_what_is_new_ranks_are_those_of_sorting_the_rest_and_what_was_had_is_never_found(
    seed: int, kinds: int, users: int
) -> None:
    rng = np.random.default_rng(seed)
    table, targets = tied_scores(rng, kinds), some_targets(rng, users)
    popularity, histories = rng.integers(4, size=ITEMS), list(targets.histories)
    scores = TabledScorer(table).scores(histories)
    ranks = TieOrder.by_popularity(popularity).ranks_of_new(scores, histories, targets.items)
    for user, history in enumerate(histories):
        had, target = set(history.tolist()), int(targets.items[user])
        new = [item for item in sorted_items(table[history[0]], had, popularity) if item not in had]
        assert ranks[user] == new.index(target) if target in new else ranks[user] > 1_000_000


def test_a_target_stands_in_a_list_at_its_rank() -> None:
    rng = np.random.default_rng(1)
    targets = some_targets(rng, 700)
    scorer, ties = TabledScorer(tied_scores(rng, 3)), TieOrder.by_popularity(rng.integers(4, size=ITEMS))
    ranked = rank_catalogue(scorer, targets, ties, ITEMS)
    assert (np.take_along_axis(ranked.top, ranked.ranks[:, None], axis=1)[:, 0] == targets.items).all()
    assert target_ranks(scorer, targets, ties).tolist() == ranked.ranks.tolist()


def test_users_are_scored_some_hundreds_at_a_time_each_as_if_alone() -> None:
    rng = np.random.default_rng(2)
    targets, table = some_targets(rng, 1100), tied_scores(rng, 3)
    ties = TieOrder.by_popularity(rng.integers(4, size=ITEMS))
    scorer = TabledScorer(table)
    together = rank_catalogue(scorer, targets, ties, 5)
    assert scorer.asked == [512, 512, 76]
    for user in (0, 511, 512, 1023, 1024, 1099):
        history = targets.histories[user]
        one = Targets(Histories(("u",), history, offsets_of(np.array([len(history)]))), targets.items[user : user + 1])
        alone = rank_catalogue(TabledScorer(table), one, ties, 5)
        assert (alone.ranks[0], alone.top[0].tolist()) == (together.ranks[user], together.top[user].tolist())


def test_a_view_that_cannot_be_written_to_is_ranked_as_its_copy_is() -> None:
    row = np.array([1, 3, 3, 2], dtype=np.float32)
    ties, histories = TieOrder.by_popularity(np.array([0, 1, 5, 0])), [np.array([3], dtype=np.int32)] * 2
    scores = np.broadcast_to(row, (2, 4))
    assert ties.top(scores, histories, 3).tolist() == [[2, 1, 3], [2, 1, 3]]
    assert ties.ranks(scores, histories, np.array([1, 0], dtype=np.int32)).tolist() == [1, 3]


def test_a_score_that_is_not_a_number_is_refused_instead_of_ranking_its_target_first() -> None:
    targets, ties = some_targets(np.random.default_rng(0), 3), TieOrder.by_popularity(np.zeros(ITEMS, dtype=np.int64))
    scorer = TabledScorer(np.full((ITEMS, ITEMS), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="not a number"):
        target_ranks(scorer, targets, ties)
    with pytest.raises(DataError, match="not a number"):
        ties.top(scorer.table, [np.array([0], dtype=np.int32)] * ITEMS, 3)


def test_scores_of_another_catalogue_are_refused() -> None:
    targets, ties = some_targets(np.random.default_rng(0), 3), TieOrder.by_popularity(np.zeros(ITEMS, dtype=np.int64))
    with pytest.raises(DataError, match=r"\[3, 39\] for 3 users of 40 items"):
        target_ranks(TabledScorer(np.zeros((ITEMS, ITEMS - 1), dtype=np.float32)), targets, ties)
