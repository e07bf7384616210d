"""One of several processes of a pre-training: started by ``torchrun``, or alone.

Arguments: the folders of the shops, then the store. Prints its rank and the version of the backbone.
"""

import sys
from dataclasses import replace
from pathlib import Path

from models.store import ArtifactStore
from tests.training.notes import NotesInJson
from tests.training.small_shop import CONFIG
from training.batches import BatchLimits
from training.config import TrainingConfig
from training.dataset import load_dataset
from training.distributed import joined_processes
from training.pretrain import pretrain


def without_dropout() -> TrainingConfig:
    """Two epochs of some dozen batches, whose only chance is drawn alike by every process."""
    network = CONFIG.network
    return replace(
        CONFIG,
        network=replace(network, architecture=network.architecture.model_copy(update={"dropout": 0.0})),
        fit=replace(CONFIG.fit, max_epochs=2, learning_rate=1e-3),
        batch_limits=BatchLimits(sequences=63),
    )


def main(folders: list[str], root: str) -> None:
    datasets = {Path(folder).name: load_dataset(Path(folder)) for folder in folders}
    with joined_processes() as processes:
        backbone = pretrain(datasets, ArtifactStore(Path(root)), without_dropout(), processes, NotesInJson)
        sys.stdout.write(f"{processes.rank} of {processes.count}: {backbone.version}\n")


if __name__ == "__main__":
    main(sys.argv[1:-1], sys.argv[-1])
