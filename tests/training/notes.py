"""A journal that can be read back."""

import json
from pathlib import Path

from models.store import ArtifactStore
from training.journal import Journal


class NotesInJson(Journal):
    """Writes all notes, as name, step and value, into one file of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[tuple[str, int, float]] = []

    def note(self, name: str, value: float) -> None:
        self.notes.append((name, self.step, value))

    def close(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "notes.json").write_text(json.dumps(self.notes))


def read_notes(store: ArtifactStore) -> list[tuple[str, int, float]]:
    """The notes of the one run in a store."""
    (file,) = (store.root / "logs").glob("*/notes.json")
    return [(str(name), int(step), float(value)) for name, step, value in json.loads(file.read_text())]
