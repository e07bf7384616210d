"""What the offline stages write finds no room: they say so, leave nothing half-written, and go on with room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from models.bundle import copy_bundle, write_bundle
from tests.integration.faults.disk import SmallDisk
from tests.integration.faults.processes import VQREC
from tests.tiny_models import TinyStore
from training.checkpoint import CheckpointFolder, TrainingState
from training.errors import UnwritableError
from training.replace_file import replace_files

MIB, PAGE = 1 << 20, 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", 16 * MIB) as disk:
        yield disk


def files(disk: SmallDisk) -> set[str]:
    return {path.name for path in disk.path.rglob("*") if path.is_file()} - {"ballast"}


@pytest.mark.parametrize("room", [0, 2 * PAGE])
def test_an_artifact(disk: SmallDisk, tiny: TinyStore, room: int) -> None:
    bundle = tiny.adapter
    contents = {name: bundle.read_bytes(name) for name in bundle.manifest.files}
    disk.fill(but_bytes=room)
    with pytest.raises(OSError, match="No space left on device"):
        write_bundle(disk.path / "adapters", bundle.manifest, contents)
    with pytest.raises(OSError, match="No space left on device"):
        copy_bundle(bundle.path, disk.path / "copies")
    assert files(disk) == set()


def test_a_checkpoint_keeps_the_one_before(disk: SmallDisk) -> None:
    folder = CheckpointFolder.of_run(disk.path, "train", {"seed": 1})
    state = TrainingState(1, 1, 0.5, {"weight": torch.ones(2 * MIB // 4)})
    folder.save(state)
    disk.fill(but_bytes=MIB)
    with pytest.raises(UnwritableError, match=r"checkpoint.* cannot be written"):
        folder.save(TrainingState(2, 2, 0.6, state.model))
    assert files(disk) == {"checkpoint.safetensors"}
    loaded = folder.load()
    assert loaded is not None
    assert loaded.epoch == 1
    disk.clear()
    folder.save(TrainingState(2, 2, 0.6, state.model))


def test_tables_come_together_or_not_at_all(disk: SmallDisk) -> None:
    table = pl.DataFrame({"text": [f"{number:x}" * 20 for number in range(10_000)]})
    writers = {disk.path / name: table.write_parquet for name in ("items.parquet", "interactions.parquet")}
    table.write_parquet(disk.path / "items.parquet")
    size = (disk.path / "items.parquet").stat().st_size
    (disk.path / "items.parquet").unlink()
    disk.fill(but_bytes=size + size // 2)  # the first one fits
    with pytest.raises(UnwritableError, match=r"interactions\.parquet cannot be written"):
        replace_files(writers)
    assert files(disk) == set()
    disk.clear()
    replace_files(writers)


def test_a_command_says_so_in_one_line(disk: SmallDisk) -> None:
    disk.fill(but_bytes=2 * PAGE)
    command = disk.inside(str(VQREC), "sample", "--out", str(disk.folder / "data"))
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert line.startswith("vqrec: ")
    assert "No space left on device" in line
    assert files(disk) == set()
