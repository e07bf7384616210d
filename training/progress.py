"""Progress of long work: on standard error, with an estimate of the time left; standard output is for results."""

import sys
from typing import NoReturn

from tqdm import tqdm


def progress_bar(total: int, label: str, unit: str = "it", initial: int = 0) -> "tqdm[NoReturn]":
    """A bar over ``total`` steps; silent where there is nothing to do."""
    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        initial=initial,
        file=sys.stderr,
        dynamic_ncols=True,
        disable=total == 0,
        mininterval=0.5,
    )


def say(message: str) -> None:
    """A line for the person who waits, on standard error."""
    tqdm.write(message, file=sys.stderr)
