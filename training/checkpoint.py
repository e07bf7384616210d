"""What an interrupted training goes on from: safetensors and JSON, never pickle, renamed into place when whole."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from training.errors import DataError, UnwritableError

_FILE = "checkpoint.safetensors"


@dataclass
class TrainingState:
    """Where a training stands after an epoch.

    Args:
        epoch: epochs done.
        best_epoch, best_score: the best validation so far, and when.
        model, best, optimizer: tensors by name.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -1.0
    model: dict[str, torch.Tensor] = field(default_factory=dict)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoint of one run: the same data, configuration and seed find it again, and no others."""

    path: Path

    @classmethod
    def of_run(cls, root: Path, *identity: object) -> "CheckpointFolder":
        """The folder below ``root`` for the run that ``identity``, anything with a faithful ``str``, tells apart."""
        digest = hashlib.sha256("\n".join(str(part) for part in identity).encode()).hexdigest()
        return cls(root / digest[:16])

    def save(self, state: TrainingState) -> None:
        """Put this state in place of the last one.

        Raises:
            OSError, UnwritableError: if it cannot be written; the last one stays.
        """
        groups = {"model": state.model, "best": state.best, "optimizer": state.optimizer}
        tensors = {
            f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
            for group, named in groups.items()
            for name, tensor in named.items()
        }
        numbers = {"epoch": state.epoch, "best_epoch": state.best_epoch, "best_score": state.best_score}
        self.path.mkdir(parents=True, exist_ok=True)
        beside = self.path / f".{_FILE}"
        try:
            save_file(tensors, beside, metadata={"state": json.dumps(numbers)})
            beside.replace(self.path / _FILE)
        except SafetensorError as error:
            raise UnwritableError(f"the checkpoint {self.path / _FILE} cannot be written: {error}") from error
        finally:
            beside.unlink(missing_ok=True)

    def load(self) -> TrainingState | None:
        """The last state that was saved whole; None where there is none.

        Raises:
            DataError: if it is damaged.
        """
        path = self.path / _FILE
        if not path.is_file():
            return None
        state = TrainingState()
        try:
            with safe_open(path, framework="pt") as file:
                numbers: dict[str, Any] = json.loads(file.metadata()["state"])
                for key in file.keys():  # noqa: SIM118 - not a dict
                    group, name = key.split("/", 1)
                    getattr(state, group)[name] = file.get_tensor(key)
            state.epoch, state.best_epoch = int(numbers["epoch"]), int(numbers["best_epoch"])
            state.best_score = float(numbers["best_score"])
        except (SafetensorError, AttributeError, KeyError, ValueError, TypeError) as error:
            raise DataError(f"the checkpoint {path} cannot be read ({error}): delete it to start afresh") from error
        return state

    def clear(self) -> None:
        """Remove the checkpoint of a run that has ended."""
        shutil.rmtree(self.path, ignore_errors=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The state of Adam, flat, as tensors by name."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{key}": value for index, entry in state.items() for key, value in entry.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of :func:`optimizer_tensors`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
