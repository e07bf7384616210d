"""Files that are whole or not there: written beside, then renamed."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from polars.exceptions import PolarsError

from training.errors import UnwritableError


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def replace_files(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write each file by its writer, all of them beside their places first, and only then rename them into place.

    Raises:
        OSError, UnwritableError: if one cannot be written; then none is.
    """
    with contextlib.ExitStack() as stack:
        written = {path: stack.enter_context(_beside(path)) for path in writers}
        for path, temporary in written.items():
            try:
                writers[path](temporary)
            except PolarsError as error:
                raise UnwritableError(f"{path} cannot be written: {error}") from error
        for path, temporary in written.items():
            temporary.replace(path)
