"""Where a command is to write: tried out before anything is done that takes time."""

from pathlib import Path
from tempfile import TemporaryFile

import click

from training.errors import UnwritableError


class OutFolder(click.Path):
    """A folder that is there, or can be made, and takes files."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        folder = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]  # what click calls it with
        check_writable(folder, param.opts[0] if param else "the folder")
        return folder


class OutFile(click.Path):
    """A file that can be made, or replaced."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        file = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]  # what click calls it with
        check_writable(file.parent, param.opts[0] if param else "the file")
        return file


def check_writable(folder: Path, name: str) -> None:
    """Make a file without a name in ``folder``, or in the nearest folder above it that there is.

    Raises:
        UnwritableError: if that fails, saying what ``name`` should be.
    """
    try:
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UnwritableError(
            f"{name} {folder}: nothing can be written there ({error.strerror}): give a place that may be written to"
        ) from error
