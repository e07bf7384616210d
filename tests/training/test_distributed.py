"""Several processes are one: the same batches, losses and weights, and one of them writes."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backbone import WEIGHTS_FILE, read_projection
from models.bundle import read_bundle
from models.manifest import BackboneManifest
from tests.training.notes import NotesInJson, read_notes
from tests.training.pretraining_process import without_dropout
from tests.training.small_shop import SmallShops
from training.distributed import ALONE, joined_processes
from training.pretrain import pretrain

ROOT = Path(__file__).parents[2]


def run_two(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", module]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )


@pytest.mark.training
def test_two_processes_take_the_steps_of_one_and_the_first_alone_writes(shops: SmallShops, tmp_path: Path) -> None:
    """Sums are in another order, and a step of Adam divides by roots of sums: hence the tolerances."""
    together, alone = shops.new_store(tmp_path / "together"), shops.new_store(tmp_path / "alone")
    done = run_two("tests.training.pretraining_process", *shops.folders, together.root)
    assert done.returncode == 0, done.stderr
    (version,) = {path.name for path in together.backbones.iterdir()}
    assert sorted(done.stdout.split("\n")) == ["", f"0 of 2: {version}", f"1 of 2: {version}"]
    assert len(re.findall("best after epoch|no epoch was better", done.stderr)) == 1
    assert [path for path in together.cache.iterdir() if path.is_dir()] == []

    datasets = {folder.name: shops.dataset(number) for number, folder in enumerate(shops.folders)}
    expected = pretrain(datasets, alone, without_dropout(), ALONE, NotesInJson)
    notes, expected_notes = read_notes(together), read_notes(alone)
    assert [note[:2] for note in notes] == [note[:2] for note in expected_notes]
    losses, expected_losses = (
        [value for name, _, value in of_run if name == "loss"] for of_run in (notes, expected_notes)
    )
    assert len(losses) > 20
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    got = read_bundle(together.backbones / version, BackboneManifest)
    weights = got.read_tensors(WEIGHTS_FILE)
    for name, weight in expected.read_tensors(WEIGHTS_FILE).items():
        np.testing.assert_allclose(weights[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(read_projection(got).weight, read_projection(expected).weight, atol=1e-4)


def test_a_process_that_nobody_started_others_beside_is_alone() -> None:
    with joined_processes() as processes:
        assert processes == ALONE
        assert processes.is_first
        assert not torch.distributed.is_initialized()


def test_what_is_shared_among_one_is_what_it_had() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert ALONE.array_from_first(array).tolist() == array.tolist()
    assert ALONE.text_from_first("a version") == "a version"
    assert ALONE.number_from_first(lambda: 0.25) == 0.25
    assert ALONE.sum(torch.tensor(2.5)) == 2.5
    with pytest.raises(ValueError, match="no array"):
        ALONE.array_from_first(None)
