"""A folder of artifacts: where each kind lies, and how one is found by its sha256 or by a path that may not escape."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from models.bundle import copy_bundle, read_manifest_bytes
from models.errors import ArtifactNotFoundError, InvalidArtifactError

TEXT_ENCODERS = "text-encoders"
BACKBONES = "backbones"
ADAPTERS = "adapters"


@dataclass(frozen=True)
class ArtifactStore:
    """``root/text-encoders/<version>``, ``root/backbones/<version>``, ``root/adapters/<domain>/<version>``."""

    root: Path

    @property
    def text_encoders(self) -> Path:
        return self.root / TEXT_ENCODERS

    @property
    def backbones(self) -> Path:
        return self.root / BACKBONES

    @property
    def cache(self) -> Path:
        """What training keeps to go on from or to save work; nothing is lost with it but time."""
        return self.root / ".cache"

    def adapters(self, domain: str) -> Path:
        return self.root / ADAPTERS / domain

    def find(self, folder: Path, sha256: str) -> Path:
        """The artifact in ``folder`` whose manifest has this sha256.

        Raises:
            ArtifactNotFoundError: if there is none.
        """
        path = folder / sha256[:12]
        if path.is_dir() and hashlib.sha256(read_manifest_bytes(path)).hexdigest() == sha256:
            return path
        raise ArtifactNotFoundError(
            f"no artifact {sha256[:12]} in {folder}: copy it there, or give the folder that holds it"
        )

    def resolve(self, source: str) -> Path:
        """The folder that ``source`` names: a path relative to the root, or an absolute one below it.

        Raises:
            InvalidArtifactError: if the path leads out of the root, by ``..``, by a link or from the start.
            ArtifactNotFoundError: if there is no such folder.
        """
        root = self.root.resolve()
        try:
            path = (root / source).resolve()
            is_folder = path.is_dir()
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
            raise InvalidArtifactError(f"{source!r} is not a path: {error}") from error
        if not path.is_relative_to(root) or path == root:
            raise InvalidArtifactError("the source must be a path below the artifact root, and may not lead out of it")
        if not is_folder:
            raise ArtifactNotFoundError(f"there is no artifact at {source!r} below the artifact root")
        return path

    def take_over(self, path: Path, folder: Path) -> Path:
        """Copy an artifact from elsewhere into ``folder`` of this store, so that the store stays whole by itself."""
        return copy_bundle(path, folder)


def store_of(adapter_path: Path) -> ArtifactStore:
    """The store that an adapter lies in: ``root/adapters/<domain>/<version>`` ─► ``root``.

    Raises:
        ArtifactNotFoundError: if the adapter does not lie in a store.
    """
    resolved = adapter_path.resolve()
    if len(resolved.parents) < 3 or resolved.parents[1].name != ADAPTERS:
        raise ArtifactNotFoundError(
            f"{adapter_path} does not lie in an artifact folder (ARTIFACTS/{ADAPTERS}/DOMAIN/VERSION), "
            "so its backbone cannot be found"
        )
    return ArtifactStore(resolved.parents[2])
