"""The training loop that every stage shares: epochs, early stopping, checkpoints, a progress bar."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from training.batches import Batch
from training.checkpoint import CheckpointFolder, TrainingState, load_optimizer_tensors, optimizer_tensors
from training.device import mixed_precision
from training.distributed import ALONE, Processes
from training.journal import Journal
from training.progress import progress_bar, say


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train.

    Args:
        max_epochs: the most epochs.
        patience: training stops after so many epochs without a better validation score.
        learning_rate: AdamW's.
        network_rate: what the learning rate is multiplied by for the parameters that a task calls shared; 0 leaves
            those as they are.
        weight_decay: AdamW's, for the parameters that a task says fade.
        seed: fixes the order of batches and the dropout of every epoch, so that a resumed run equals an unbroken one.
    """

    max_epochs: int = 30
    patience: int = 4
    learning_rate: float = 1e-3
    network_rate: float = 1.0
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
        loss: of one batch, a scalar; in several processes, each one's share of it, so that the shares sum up to it.
        validate: the score to maximise, NDCG@10. In several processes the first one alone is asked.
        shared: parameters of the model that learn at a rate of their own.
        fading: parameters that weight decay draws back to zero: what is learned beyond a start that is kept apart.
    """

    label: str
    model: nn.Module
    batches: Callable[[int], Iterable[Batch]]
    batches_per_epoch: int
    loss: Callable[[Batch], torch.Tensor]
    validate: Callable[[], float]
    shared: Sequence[nn.Parameter] = ()
    fading: Sequence[nn.Parameter] = ()


@dataclass(frozen=True)
class FitResult:
    """How a training went; the model holds the weights of ``best_epoch``."""

    epochs: int
    best_epoch: int
    best_score: float

    def __str__(self) -> str:
        score = f"validation NDCG@10 {self.best_score:.4f}"
        if self.best_epoch == 0:
            return f"no epoch was better than the start, which is kept: {score}"
        return f"best after epoch {self.best_epoch}, {score}"


def fit(
    task: Task,
    config: FitConfig,
    checkpoints: CheckpointFolder,
    processes: Processes = ALONE,
    journal: Journal | None = None,
) -> FitResult:
    """Train until validation stops improving, and leave the best weights in the model, on the CPU.

    Interrupted, it resumes from the last whole epoch when it is called again with the same checkpoint folder.

    Args:
        task: what is trained.
        config: how long and how fast.
        checkpoints: of this run; the first process writes it.
        processes: those that train together.
        journal: gets ``loss`` after every batch and ``valid/ndcg@10`` after every epoch.
    """
    task.model.to(processes.device)
    optimizer = _optimizer(task, config)
    run = _Run(task, optimizer, processes, journal or Journal())
    state = run.resume(checkpoints)
    total = config.max_epochs * task.batches_per_epoch if processes.is_first else 0  # the others show no bar
    with progress_bar(total, task.label, unit="batch", initial=state.epoch * task.batches_per_epoch) as bar:
        while state.epoch < config.max_epochs and state.epoch - state.best_epoch < config.patience:
            loss = run.train_epoch(_epoch_seed(config.seed, state.epoch), bar.update)
            score = run.score()
            _advance(state, task, optimizer, score)
            if processes.is_first:
                checkpoints.save(state)
                say(f"{task.label}: epoch {state.epoch}, loss {loss:.4f}, validation NDCG@10 {score:.4f}")
    task.model.load_state_dict(state.best)
    task.model.to("cpu")
    return FitResult(state.epoch, state.best_epoch, state.best_score)


def _optimizer(task: Task, config: FitConfig) -> torch.optim.Optimizer:
    shared, fading = ({id(parameter) for parameter in some} for some in (task.shared, task.fading))
    if config.network_rate == 0:
        for parameter in task.shared:
            parameter.requires_grad_(False)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in task.model.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in shared, id(parameter) in fading), []).append(parameter)
    # One pass over the weights instead of a dozen: with large tables the step costs a tenth.
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": config.learning_rate * (config.network_rate if is_shared else 1),
                "weight_decay": config.weight_decay if is_fading else 0.0,
            }
            for (is_shared, is_fading), parameters in groups.items()
        ],
        fused=True,
    )


@dataclass(frozen=True, eq=False)
class _Run:
    task: Task
    optimizer: torch.optim.Optimizer
    processes: Processes
    journal: Journal

    def resume(self, checkpoints: CheckpointFolder) -> TrainingState:
        state = checkpoints.load()
        if state is None:
            # Weights that no epoch improves on are kept: a base table may already be the best there is.
            return TrainingState(best_score=self.score(), best=_copy(self.task.model))
        self.task.model.load_state_dict(state.model)
        load_optimizer_tensors(self.optimizer, state.optimizer)
        self.journal.step = state.epoch * self.task.batches_per_epoch
        if self.processes.is_first:
            say(f"{self.task.label}: resumed after epoch {state.epoch}")
        return state

    def train_epoch(self, seed: int, on_batch: Callable[[int], object]) -> float:
        """The mean loss of an epoch."""
        torch.manual_seed(seed + self.processes.rank)  # the dropout of each process is its own
        self.task.model.train()
        losses = [self._train_batch(batch, on_batch) for batch in self.task.batches(seed)]
        return sum(losses) / max(1, len(losses))

    def _train_batch(self, batch: Batch, on_batch: Callable[[int], object]) -> float:
        self.optimizer.zero_grad()
        with mixed_precision(self.processes.device):
            loss = self.task.loss(batch.to(self.processes.device))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        self.processes.sum_gradients(
            parameter for group in self.optimizer.param_groups for parameter in group["params"]
        )
        self.optimizer.step()
        whole = self.processes.sum(loss)
        self.journal.step += 1
        self.journal.note("loss", whole)
        on_batch(1)
        return whole

    def score(self) -> float:
        self.task.model.eval()
        with torch.no_grad():
            score = self.processes.number_from_first(self.task.validate)
        self.journal.note("valid/ndcg@10", score)
        return score


def _advance(state: TrainingState, task: Task, optimizer: torch.optim.Optimizer, score: float) -> None:
    state.epoch += 1
    state.model, state.optimizer = _copy(task.model), optimizer_tensors(optimizer)
    if score > state.best_score:
        state.best_epoch, state.best_score, state.best = state.epoch, score, state.model


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (1 << 31)
