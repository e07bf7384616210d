"""Where ``adapt`` takes a shop from: files, or the Redis of a service with a table of interactions beside it."""

from dataclasses import dataclass
from pathlib import Path

from models.store import ArtifactStore
from training.config import TrainingConfig
from training.dataset import Dataset, Items, load_dataset, load_items
from training.errors import DataError
from training.known_vectors import keep_served_vectors
from training.redis_source import join_interactions, read_catalogue
from training.starting_point import StartingPoint


@dataclass(frozen=True)
class ShopSource:
    """What the command line was told of where a shop is.

    Args:
        data: a folder of items and interactions, which a catalogue alone is read from as well.
        redis: the URL of a service's Redis, instead.
        interactions: a table, beside ``redis``.

    Raises:
        DataError: if these do not go together.
    """

    data: Path | None
    redis: str | None = None
    interactions: Path | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.redis is None):
            raise DataError("give either --data or --redis")
        if self.redis is None and self.interactions is not None:
            raise DataError("--interactions goes with --redis: a folder of --data holds its own")

    def items(self, domain: str, backbone: Path, store: ArtifactStore, config: TrainingConfig) -> Items:
        """The catalogue. Read from Redis, its text vectors are kept in ``store``, so that nothing is left to encode.

        Raises:
            DataError, ServiceError: if it cannot be read.
            InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: see :meth:`StartingPoint.open`.
        """
        if self.redis is None:
            return load_items(_given(self.data, "--data"))
        catalogue = read_catalogue(self.redis, domain)
        keep_served_vectors(catalogue, StartingPoint.open(backbone, store, config), store)
        return catalogue.items

    def dataset(self, domain: str, backbone: Path, store: ArtifactStore, config: TrainingConfig) -> Dataset:
        """The catalogue and what users did with it; raises as :meth:`items`."""
        if self.redis is None:
            return load_dataset(_given(self.data, "--data"))
        interactions = _given(self.interactions, "--interactions, for Redis holds none, or --zero-shot")
        return join_interactions(self.items(domain, backbone, store, config), interactions)


def _given(path: Path | None, option: str) -> Path:
    if path is None:
        raise DataError(f"give {option}")
    return path
