"""The seconds that something takes, told only of what was made in one go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic


@contextmanager
def clocked(result: Path) -> Iterator[Callable[[], float | None]]:
    """Within, what makes ``result``; gives the seconds since the start.

    They are None after an attempt that was cut off: training goes on from its checkpoint, and how long it took until
    then is not known. A file beside ``result`` remembers that it was begun.
    """
    begun = result.with_suffix(".begun")
    goes_on = begun.is_file()
    begun.parent.mkdir(parents=True, exist_ok=True)
    begun.touch()
    start = monotonic()
    yield lambda: None if goes_on else monotonic() - start
    begun.unlink()
