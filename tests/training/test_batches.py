"""Histories ─► training sequences ─► batches: everything once, and little for nothing."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batches import (
    POSITIONS_PER_BATCH,
    SEQUENCES_PER_BATCH,
    Batch,
    BatchLimits,
    epoch_batches,
    number_of_batches,
    training_sequences,
)
from training.histories import Histories


def histories_of(lengths: list[int]) -> Histories:
    """Histories in which every interaction is with an item of its own, numbered in order."""
    return Histories(
        tuple(f"u{number:04d}" for number in range(len(lengths))),
        np.arange(sum(lengths), dtype=np.int32),
        np.cumsum([0, *lengths]),
    )


def sequences_of(lengths: list[int]) -> list[npt.NDArray[np.int32]]:
    """Sequences of items that occur once."""
    starts = np.cumsum([0, *lengths])
    return [np.arange(start, start + length, dtype=np.int32) for start, length in zip(starts, lengths, strict=False)]


def restored(batch: Batch) -> list[list[int]]:
    """The sequences of a batch, put together from inputs and targets."""
    ends = np.cumsum(batch.counts.sum(dim=1).numpy())
    rows = []
    for items, counts, targets in zip(
        batch.items.numpy(), batch.counts.numpy(), np.split(batch.targets.numpy(), ends[:-1]), strict=True
    ):
        inputs = items[counts]
        assert inputs[1:].tolist() == targets[:-1].tolist()
        assert (items[~counts] == 0).all()
        assert not counts[len(inputs) :].any()
        rows.append([*inputs.tolist(), int(targets[-1])])
    return rows


many_lengths = st.lists(st.integers(2, 60), min_size=1, max_size=400)


@given(st.lists(st.integers(0, 70), max_size=12), st.integers(1, 20))
def test_every_item_but_a_historys_first_is_a_target_exactly_once(lengths: list[int], max_history: int) -> None:
    histories = histories_of(lengths)
    sequences = training_sequences(histories, max_history)
    targets = sorted(int(item) for sequence in sequences for item in sequence[1:])
    assert targets == [item for history in histories for item in history[1:].tolist()]


@given(st.lists(st.integers(0, 70), max_size=12), st.integers(1, 20))
def test_windows_are_parts_of_a_history_and_only_its_oldest_is_short(lengths: list[int], max_history: int) -> None:
    for history in histories_of(lengths):
        windows = training_sequences(histories_of_one(history), max_history)
        assert all((np.diff(window) == 1).all() for window in windows)
        assert all(2 <= len(window) <= max_history + 1 for window in windows)
        assert all(len(window) == max_history + 1 for window in windows[:-1])
        if windows:
            assert windows[0][-1] == history[-1]


def histories_of_one(history: npt.NDArray[np.int32]) -> Histories:
    return Histories(("u",), history, np.array([0, len(history)]))


@given(many_lengths, st.integers(0, 2**31 - 1))
def test_an_epoch_holds_every_sequence_once_with_its_targets(lengths: list[int], seed: int) -> None:
    sequences = sequences_of(lengths)
    batches = list(epoch_batches(sequences, seed))
    assert sorted(row for batch in batches for row in restored(batch)) == sorted(map(np.ndarray.tolist, sequences))
    assert number_of_batches(sequences) == len(batches)


@given(many_lengths, st.integers(0, 2**31 - 1))
def test_a_batch_is_bounded_in_sequences_and_positions(lengths: list[int], seed: int) -> None:
    for batch in epoch_batches(sequences_of([length * 3 for length in lengths]), seed):
        assert len(batch.items) <= SEQUENCES_PER_BATCH
        assert batch.items.numel() <= POSITIONS_PER_BATCH


def test_a_sequence_longer_than_a_batch_may_be_is_a_batch_of_its_own() -> None:
    shapes = [tuple(batch.items.shape) for batch in epoch_batches(sequences_of([POSITIONS_PER_BATCH + 10, 3, 3]), 0)]
    assert (1, POSITIONS_PER_BATCH + 9) in shapes


def test_sequences_of_like_length_come_together() -> None:
    lengths = np.minimum(np.random.default_rng(0).geometric(0.15, size=3000) + 1, 51)
    batches = list(epoch_batches(sequences_of(lengths.tolist()), seed=0))
    padded = sum(int((~batch.counts).sum()) for batch in batches)
    assert padded < 0.2 * sum(batch.counts.numel() for batch in batches)  # at random, four fifths


@pytest.mark.parametrize("lengths", [[5] * 1000, list(range(2, 1002))])
def test_another_seed_is_another_order_and_the_same_seed_the_same(lengths: list[int]) -> None:
    sequences = sequences_of(lengths)

    def order(seed: int) -> list[list[int]]:
        return [row for batch in epoch_batches(sequences, seed) for row in restored(batch)]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_sequences_of_one_length_meet_others_in_every_epoch() -> None:
    sequences = sequences_of([5] * 1000)

    def company(seed: int) -> set[frozenset[int]]:
        return {frozenset(row[0] for row in restored(batch)) for batch in epoch_batches(sequences, seed)}

    assert company(1).isdisjoint(company(2))


@given(many_lengths, st.integers(1, 40), st.integers(60, 500))
def test_other_limits_are_kept_too(lengths: list[int], most_sequences: int, most_positions: int) -> None:
    limits = BatchLimits(most_sequences, most_positions)
    sequences = sequences_of(lengths)
    batches = list(epoch_batches(sequences, 0, limits))
    assert number_of_batches(sequences, limits) == len(batches)
    for batch in batches:
        assert len(batch.items) <= most_sequences
        assert batch.items.numel() <= most_positions


@given(many_lengths, st.integers(1, 5))
def test_the_parts_of_a_batch_are_its_sequences_and_differ_by_one_at_most(lengths: list[int], parts: int) -> None:
    for batch in epoch_batches(sequences_of(lengths), seed=0):
        shares = [batch.part(number, parts) for number in range(parts)]
        assert sorted(row for share in shares for row in rows_of(share)) == sorted(rows_of(batch))
        sizes = [len(share.items) for share in shares]
        assert max(sizes) - min(sizes) <= 1
        assert {share.seed for share in shares} == {batch.seed}


def rows_of(batch: Batch) -> list[list[int]]:
    """The sequences of a batch that may have none."""
    return restored(batch) if len(batch.items) else []


def test_every_batch_draws_from_a_seed_of_its_own() -> None:
    sequences = sequences_of([5] * 3000)
    first, again, other = ([batch.seed for batch in epoch_batches(sequences, seed)] for seed in (1, 1, 2))
    assert first == again
    assert len(set(first)) == len(first)
    assert set(first).isdisjoint(other)
