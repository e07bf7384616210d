"""The load generator at work, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from benchmarks.serving.load import Load, Report


class Loading:
    """A load that is under way."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def report(self) -> Report:
        """Wait until it is over."""
        output, _ = self._process.communicate()
        return Report.read(output)


@contextmanager
def loading(load: Load) -> Iterator[Loading]:
    """Start the load; it ends with the context at the latest."""
    command = [sys.executable, "-m", "benchmarks.serving.load", json.dumps(asdict(load))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Loading(process)
        finally:
            process.terminate()
