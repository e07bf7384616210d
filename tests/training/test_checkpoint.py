"""What an interrupted training goes on from."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checkpoint import CheckpointFolder, TrainingState, load_optimizer_tensors, optimizer_tensors
from training.errors import DataError


def state() -> TrainingState:
    model = {"layer.weight": torch.randn(3, 4), "layer.bias": torch.randn(3)}
    best = {"layer.weight": torch.randn(4, 3).T, "layer.bias": model["layer.bias"]}  # a view, and one shared
    return TrainingState(7, 5, 0.1 + 0.2, model, best, {"0/step": torch.tensor(9.0), "0/exp_avg": torch.randn(3, 4)})


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder.of_run(tmp_path, "train", {"seed": 1})


def file_of(folder: CheckpointFolder) -> Path:
    (path,) = folder.path.iterdir()
    return path


def test_a_state_comes_back_to_the_last_bit(folder: CheckpointFolder) -> None:
    saved = state()
    folder.save(saved)
    loaded = folder.load()
    assert loaded is not None
    assert (loaded.epoch, loaded.best_epoch, loaded.best_score) == (7, 5, 0.1 + 0.2)
    for group in ("model", "best", "optimizer"):
        before, after = getattr(saved, group), getattr(loaded, group)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_state_counts_and_is_all_that_is_kept(folder: CheckpointFolder) -> None:
    folder.save(state())
    later = state()
    later.epoch = 8
    folder.save(later)
    loaded = folder.load()
    assert loaded is not None
    assert loaded.epoch == 8
    assert len(list(folder.path.iterdir())) == 1


def test_where_there_is_none_there_is_nothing_to_load_or_to_clear(folder: CheckpointFolder) -> None:
    assert folder.load() is None
    folder.clear()
    folder.save(state())
    folder.clear()
    assert folder.load() is None
    assert not folder.path.exists()


def test_runs_that_differ_in_anything_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    identities: list[tuple[object, ...]] = [("a",), ("a", "b"), ("ab",), ("a", 1), ("a", 2), ("b",)]
    paths = {CheckpointFolder.of_run(tmp_path, *identity).path for identity in identities}
    assert len(paths) == len(identities)
    assert CheckpointFolder.of_run(tmp_path, "a", 1).path in paths


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        lambda path: path.write_bytes(path.read_bytes()[:5]),
        lambda path: path.write_bytes(b""),
        lambda path: save_file({"model/a": torch.zeros(1)}, path),
        lambda path: save_file({"model/a": torch.zeros(1)}, path, metadata={"state": "not JSON"}),
        lambda path: save_file({"model/a": torch.zeros(1)}, path, metadata={"state": "{}"}),
        lambda path: save_file({"cake/a": torch.zeros(1)}, path, metadata={"state": '{"epoch": 1}'}),
        lambda path: save_file({"a": torch.zeros(1)}, path, metadata={"state": '{"epoch": 1}'}),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_what_to_do(
    folder: CheckpointFolder, damage: Callable[[Path], object]
) -> None:
    folder.save(state())
    damage(file_of(folder))
    with pytest.raises(DataError, match="delete it to start afresh"):
        folder.load()


def test_an_optimizer_goes_on_where_it_was() -> None:
    def step(parameter: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        (parameter**2).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        optimizer.step()

    first = torch.nn.Parameter(torch.randn(5))
    optimizer = torch.optim.AdamW([first], lr=0.1)
    step(first, optimizer)
    second = torch.nn.Parameter(first.detach().clone())
    resumed = torch.optim.AdamW([second], lr=0.1)
    load_optimizer_tensors(resumed, {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()})
    step(first, optimizer)
    step(second, resumed)
    assert torch.equal(first, second)
