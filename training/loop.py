"""The training loop that every stage shares: epochs, early stopping, checkpoints, a progress bar."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from training.batches import Batch
from training.checkpoint import CheckpointFolder, TrainingState, load_optimizer_tensors, optimizer_tensors
from training.progress import progress_bar, say


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train.

    Args:
        max_epochs: the most epochs.
        patience: training stops after so many epochs without a better validation score.
        learning_rate, weight_decay: AdamW's.
        seed: fixes the order of batches and the dropout of every epoch, so that a resumed run equals an unbroken one.
    """

    max_epochs: int = 30
    patience: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained.

    Args:
        label: for the progress bar.
        model: its parameters that require a gradient are trained.
        batches: an epoch's batches for a seed.
        batches_per_epoch: how many those are.
        loss: of one batch, a scalar.
        validate: the score to maximise, NDCG@10.
    """

    label: str
    model: nn.Module
    batches: Callable[[int], Iterable[Batch]]
    batches_per_epoch: int
    loss: Callable[[Batch], torch.Tensor]
    validate: Callable[[], float]


@dataclass(frozen=True)
class FitResult:
    """How a training went; the model holds the weights of ``best_epoch``."""

    epochs: int
    best_epoch: int
    best_score: float


def fit(task: Task, config: FitConfig, checkpoints: CheckpointFolder) -> FitResult:
    """Train until validation stops improving, and leave the best weights in the model.

    Interrupted, it resumes from the last whole epoch when it is called again with the same checkpoint folder.
    """
    trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    state = _resume(task, optimizer, checkpoints)
    total = config.max_epochs * task.batches_per_epoch
    with progress_bar(total, task.label, unit="batch", initial=state.epoch * task.batches_per_epoch) as bar:
        while state.epoch < config.max_epochs and state.epoch - state.best_epoch < config.patience:
            loss = _train_epoch(task, optimizer, _epoch_seed(config.seed, state.epoch), bar.update)
            score = _score(task)
            _advance(state, task, optimizer, score)
            checkpoints.save(state)
            say(f"{task.label}: epoch {state.epoch}, loss {loss:.4f}, validation NDCG@10 {score:.4f}")
    task.model.load_state_dict(state.best)
    return FitResult(state.epoch, state.best_epoch, state.best_score)


def _resume(task: Task, optimizer: torch.optim.Optimizer, checkpoints: CheckpointFolder) -> TrainingState:
    state = checkpoints.load()
    if state is None:
        # Weights that no epoch improves on are kept: a base table may already be the best there is.
        return TrainingState(best_score=_score(task), best=_copy(task.model))
    task.model.load_state_dict(state.model)
    load_optimizer_tensors(optimizer, state.optimizer)
    say(f"{task.label}: resumed after epoch {state.epoch}")
    return state


def _train_epoch(task: Task, optimizer: torch.optim.Optimizer, seed: int, on_batch: Callable[[int], object]) -> float:
    torch.manual_seed(seed)
    task.model.train()
    total, batches = 0.0, 0
    for batch in task.batches(seed):
        optimizer.zero_grad()
        loss = task.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        optimizer.step()
        total, batches = total + loss.item(), batches + 1
        on_batch(1)
    return total / max(1, batches)


def _score(task: Task) -> float:
    task.model.eval()
    with torch.no_grad():
        return task.validate()


def _advance(state: TrainingState, task: Task, optimizer: torch.optim.Optimizer, score: float) -> None:
    state.epoch += 1
    state.model, state.optimizer = _copy(task.model), optimizer_tensors(optimizer)
    if score > state.best_score:
        state.best_epoch, state.best_score, state.best = state.epoch, score, state.model


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (1 << 31)
