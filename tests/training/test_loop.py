"""The training loop: when it stops, what it leaves, and that an interruption changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from training.batches import Batch
from training.checkpoint import CheckpointFolder
from training.loop import FitConfig, FitResult, Task, fit

BATCHES = 5


@pytest.fixture
def checkpoints(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "run")


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 6), nn.Dropout(0.5), nn.Linear(6, 10))


def random_batches(seed: int) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(BATCHES):
        items = torch.randint(10, (4, 3), generator=generator)
        yield Batch(items, torch.ones(4, 3, dtype=torch.bool), ((items + 1) % 10).flatten())


def task(trained: nn.Module, validate: Callable[[], float]) -> Task:
    def loss(batch: Batch) -> torch.Tensor:
        return nn.functional.cross_entropy(trained(batch.items).flatten(0, 1), batch.targets)

    return Task("test", trained, random_batches, BATCHES, loss, validate)


def accuracy(trained: nn.Module) -> float:
    return float((trained(torch.arange(10)).argmax(dim=1) == (torch.arange(10) + 1) % 10).float().mean())


def likelihood(trained: nn.Module) -> float:
    items = torch.arange(10)
    return float(torch.exp(-nn.functional.cross_entropy(trained(items), (items + 1) % 10)))


def weights(trained: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trained.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class Scores:
    """Validation with given scores; notes the weights that each was given to, and whether dropout was off."""

    def __init__(self, trained: nn.Module, *scores: float) -> None:
        self.trained, self.scores = trained, iter(scores)
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self) -> float:
        assert not self.trained.training
        assert not torch.is_grad_enabled()
        self.seen.append(weights(self.trained))
        return next(self.scores)


def test_training_learns(checkpoints: CheckpointFolder) -> None:
    trained = model()
    result = fit(task(trained, lambda: accuracy(trained)), FitConfig(40, 40, learning_rate=0.05), checkpoints)
    assert result.best_score >= 0.9
    assert accuracy(trained.eval()) == result.best_score


@pytest.mark.parametrize(("rate", "moves"), [(0.0, False), (0.01, True), (1.0, True)])
def test_what_is_shared_learns_at_a_rate_of_its_own(checkpoints: CheckpointFolder, rate: float, moves: bool) -> None:
    trained = model()
    before, shared = weights(trained), "2.weight"
    part = replace(task(trained, lambda: accuracy(trained)), shared=[trained.get_parameter(shared)])
    fit(part, FitConfig(1, 1, learning_rate=0.05, network_rate=rate), checkpoints)
    steps = {name: (trained.state_dict()[name] - before[name]).abs().max().item() for name in before}
    assert steps["0.weight"] > 0.04
    assert (steps[shared] > 0) == moves
    assert steps[shared] <= 1.01 * rate * 0.05 * BATCHES  # a step of Adam is the rate at most, or little more


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best_weights(
    checkpoints: CheckpointFolder,
) -> None:
    trained = model()
    scores = Scores(trained, 0.1, 0.2, 0.5, 0.4, 0.5, 0.3)
    result = fit(task(trained, scores), FitConfig(max_epochs=100, patience=3), checkpoints)
    assert result == FitResult(epochs=5, best_epoch=2, best_score=0.5)
    assert str(result) == "best after epoch 2, validation NDCG@10 0.5000"
    assert same(weights(trained), scores.seen[2])
    assert not same(weights(trained), scores.seen[5])


def test_it_stops_after_the_most_epochs(checkpoints: CheckpointFolder) -> None:
    trained = model()
    scores = Scores(trained, 0.1, 0.2, 0.3)
    assert fit(task(trained, scores), FitConfig(max_epochs=2), checkpoints) == FitResult(2, 2, 0.3)
    assert same(weights(trained), scores.seen[-1])


def test_a_start_that_no_epoch_improves_on_is_kept(checkpoints: CheckpointFolder) -> None:
    trained = model()
    start = weights(trained)
    scores = Scores(trained, 0.5, 0.4, 0.5)
    result = fit(task(trained, scores), FitConfig(patience=2), checkpoints)
    assert result == FitResult(2, 0, 0.5)
    assert str(result) == "no epoch was better than the start, which is kept: validation NDCG@10 0.5000"
    assert same(weights(trained), start)


def test_what_is_frozen_is_not_trained(checkpoints: CheckpointFolder) -> None:
    trained = model()
    trained[0].requires_grad_(False)  # type: ignore[index]  # a Sequential
    start = weights(trained)
    fading = replace(task(trained, Scores(trained, 0.0, 1.0)), fading=list(trained.parameters()))
    fit(fading, FitConfig(max_epochs=1, weight_decay=0.1), checkpoints)
    moved = [name for name, tensor in weights(trained).items() if not torch.equal(tensor, start[name])]
    assert moved == ["2.weight", "2.bias"]


def test_weight_decay_draws_back_what_fades_and_nothing_else(checkpoints: CheckpointFolder) -> None:
    ends = []
    for decay in (0.0, 50.0):
        trained = model()
        fading = replace(task(trained, Scores(trained, 0.0, 1.0)), fading=[trained[2].weight])  # type: ignore[index]
        fit(fading, FitConfig(max_epochs=1, learning_rate=1e-4, weight_decay=decay), checkpoints)
        ends.append(weights(trained))
        checkpoints.clear()
    plain, decayed = ends
    assert decayed["2.weight"].norm() < 0.99 * plain["2.weight"].norm()
    assert decayed["2.bias"].norm() == pytest.approx(plain["2.bias"].norm().item(), rel=0.01)


def run(checkpoints: CheckpointFolder, config: FitConfig, interrupt_in: int | None = None) -> nn.Module:
    """Train; stop within the epoch ``interrupt_in``, counted from 0."""
    trained = model()
    epochs = iter(range(100))

    def batches(seed: int) -> Iterator[Batch]:
        epoch = next(epochs)
        for number, batch in enumerate(random_batches(seed)):
            if epoch == interrupt_in and number == 3:
                raise KeyboardInterrupt
            yield batch

    fit(replace(task(trained, lambda: likelihood(trained)), batches=batches), config, checkpoints)
    return trained


@pytest.mark.parametrize("interrupted_epoch", [0, 1, 2, 4])
def test_an_interrupted_training_ends_as_an_unbroken_one(
    tmp_path: Path, checkpoints: CheckpointFolder, interrupted_epoch: int
) -> None:
    config = FitConfig(max_epochs=6, patience=6, learning_rate=0.05, seed=3)
    unbroken = run(CheckpointFolder(tmp_path / "other"), config)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoints, config, interrupt_in=interrupted_epoch)
    assert same(weights(run(checkpoints, config)), weights(unbroken))


def test_a_training_that_had_ended_is_not_trained_again(
    checkpoints: CheckpointFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    config = FitConfig(max_epochs=3, learning_rate=0.05)
    first = run(checkpoints, config)
    capsys.readouterr()
    again = run(checkpoints, config, interrupt_in=0)
    assert same(weights(first), weights(again))
    assert "resumed after epoch 3" in capsys.readouterr().err


def test_another_seed_trains_otherwise(tmp_path: Path) -> None:
    one, again, other = (
        run(CheckpointFolder(tmp_path / str(place)), FitConfig(max_epochs=2, learning_rate=0.05, seed=seed))
        for place, seed in enumerate((1, 1, 2))
    )
    assert same(weights(one), weights(again))
    assert not same(weights(one), weights(other))


def test_progress_goes_to_standard_error(checkpoints: CheckpointFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run(checkpoints, FitConfig(max_epochs=2))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "test: epoch 2, loss" in captured.err
    assert f"{2 * BATCHES}/{2 * BATCHES}" in captured.err
