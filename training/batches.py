"""Histories ─► batches of similar length in which every position has a target."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from training.histories import Histories

SEQUENCES_PER_BATCH = 256
POSITIONS_PER_BATCH = 4096


@dataclass(frozen=True)
class BatchLimits:
    """How large a batch may become.

    Args:
        sequences: the most sequences.
        positions: the most positions, padding included: bounds the logits, positions x items float32.
    """

    sequences: int = SEQUENCES_PER_BATCH
    positions: int = POSITIONS_PER_BATCH


_LIMITS = BatchLimits()


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded histories and what follows each of their items.

    Args:
        items: int64 [batch, time], item indices; 0 where padded.
        counts: bool [batch, time], False where padded.
        targets: int64 [positions], the next item of every position that counts, row by row.
        seed: of what a loss draws at random for this batch, such as negatives.
    """

    items: torch.Tensor
    counts: torch.Tensor
    targets: torch.Tensor
    seed: int = 0

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(self.items.to(device), self.counts.to(device), self.targets.to(device), self.seed)

    def part(self, number: int, parts: int) -> "Batch":
        """Every ``parts``-th sequence from ``number`` on: a process's share of the batch. It may be empty."""
        rows = torch.arange(len(self.items), device=self.items.device) % parts == number  # [batch]
        row_of_target = rows[:, None].expand_as(self.counts)[self.counts]  # [positions]
        return Batch(self.items[rows], self.counts[rows], self.targets[row_of_target], self.seed)


def training_sequences(histories: Histories, max_history: int) -> list[npt.NDArray[np.int32]]:
    """Each history cut, from its end, into windows of at most ``max_history`` inputs and their targets.

    Neighbouring windows share one item, which is the target of one and the first input of the other, so that every
    item but a history's first is a target exactly once. Histories of one item have no target and are left out.
    """
    sequences: list[npt.NDArray[np.int32]] = []
    for start, end in zip(histories.offsets[:-1], histories.offsets[1:], strict=True):
        history = histories.items[start:end]
        stops = range(len(history), 1, -max_history)
        sequences.extend(history[max(0, stop - max_history - 1) : stop] for stop in stops)
    return sequences


def epoch_batches(
    sequences: Sequence[npt.NDArray[np.int32]], seed: int, limits: BatchLimits = _LIMITS
) -> Iterator[Batch]:
    """One epoch's batches in random order.

    Sequences of equal length are shuffled, then cut in order of length, so that a batch holds little padding.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([len(sequence) for sequence in sequences])
    order = np.lexsort((rng.random(len(sequences)), lengths))
    groups = _cut(order, lengths, limits)
    places = rng.permutation(len(groups))
    seeds = rng.integers(1 << 31, size=len(groups))
    for group, batch_seed in zip(places, seeds, strict=True):
        yield _pad([sequences[index] for index in groups[group]], int(batch_seed))


def number_of_batches(sequences: Sequence[npt.NDArray[np.int32]], limits: BatchLimits = _LIMITS) -> int:
    """How many batches :func:`epoch_batches` makes of these sequences."""
    lengths = np.array([len(sequence) for sequence in sequences])
    return len(_cut(np.argsort(lengths, kind="stable"), lengths, limits))


def _cut(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], limits: BatchLimits
) -> list[npt.NDArray[np.int64]]:
    groups, start = [], 0
    while start < len(order):
        longest_first = int(lengths[order[min(start + limits.sequences, len(order)) - 1]]) - 1
        size = max(1, min(limits.sequences, limits.positions // max(1, longest_first)))
        groups.append(order[start : start + size])
        start += size
    return groups


def _pad(sequences: list[npt.NDArray[np.int32]], seed: int) -> Batch:
    time = max(len(sequence) for sequence in sequences) - 1
    items = np.zeros((len(sequences), time), dtype=np.int64)
    counts = np.zeros((len(sequences), time), dtype=bool)
    for row, sequence in enumerate(sequences):
        items[row, : len(sequence) - 1] = sequence[:-1]
        counts[row, : len(sequence) - 1] = True
    targets = np.concatenate([sequence[1:] for sequence in sequences]).astype(np.int64)
    return Batch(torch.from_numpy(items), torch.from_numpy(counts), torch.from_numpy(targets), seed)
