"""The command line in the process of a test."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from models.command_line import main
from tests.training.small_shop import ENCODER

SIZES = ("--codebooks", "8", "--codebook-size", "32", "--epochs", "1")
NETWORK = ("--text-encoder", ENCODER, "--width", "16", "--layers", "1", "--heads", "2", "--max-history", "8")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


Vqrec = Callable[..., Done]


def vqrec_in(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vqrec:
    """The command line in this process, its output taken from the file descriptors, where libraries write too."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["vqrec", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        return Done(status, captured.out, captured.err)

    return run
