"""What a process has of memory, files and threads, read from the kernel's account of it every few seconds."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

EVERY_SECONDS = 2.0
MEMORY = "memory MB"

_MEGABYTE = 1e6
_NAMES = {"VmRSS:": MEMORY, "Threads:": "threads"}
_FILES = "open files"


@dataclass
class Watch:
    """Samples of several processes.

    Args:
        pids: by what they are called.
        seconds: of each sample, since the first.
        samples: process ─► what ─► values, aligned with ``seconds``.
    """

    pids: Mapping[str, int]
    seconds: list[float] = field(default_factory=list)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def run(self, over: threading.Event) -> None:
        """Sample until it is over."""
        start = time.monotonic()
        while not over.is_set():
            self.seconds.append(time.monotonic() - start)
            for name, pid in self.pids.items():
                kept = self.samples.setdefault(name, {})
                for what, value in read(pid).items():
                    kept.setdefault(what, []).append(value)
            over.wait(max(0.0, start + len(self.seconds) * EVERY_SECONDS - time.monotonic()))

    def after(self, seconds: float) -> tuple[npt.NDArray[np.float64], dict[str, dict[str, npt.NDArray[np.float64]]]]:
        """Times and samples without those of the first ``seconds``."""
        first = int(np.searchsorted(self.seconds, seconds))
        kept = {
            name: {what: np.array(values[first:]) for what, values in whats.items()}
            for name, whats in self.samples.items()
        }
        return np.array(self.seconds[first:]), kept


def read(pid: int) -> dict[str, float]:
    """Resident megabytes, open files and threads of a process."""
    status = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {_NAMES[words[0]]: float(words[1]) for words in status if words and words[0] in _NAMES}
    found[MEMORY] *= 1024 / _MEGABYTE
    found[_FILES] = float(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))
    return found
