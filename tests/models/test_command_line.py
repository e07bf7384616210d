"""The command line: what it offers, and how it says what is wrong."""

import subprocess
import sys
from errno import EACCES, ENOSPC
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from models import command_line
from models.command_line import main
from models.errors import InvalidArtifactError

COMMANDS = ["sample", "prepare", "train", "pretrain", "adapt", "evaluate", "serve", "ingest", "doctor"]


def vqrec(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["vqrec", *arguments])
    try:
        main()
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code
    return 0


def offer(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Put another command in place of the package's own."""
    found = EntryPoints([EntryPoint(name, value, "vqrec.commands")])
    monkeypatch.setattr(command_line, "entry_points", lambda group: found.select(group=group))


def raise_our_error() -> None:
    raise InvalidArtifactError("the shop's artifact is torn: fetch it again")


def test_the_help_names_every_command_in_the_order_of_the_pipeline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vqrec(monkeypatch, "--help") == 0
    listed = [
        line.split()[0] for line in capsys.readouterr().out.partition("Commands:")[2].splitlines() if line.strip()
    ]
    assert [name for name in listed if name in COMMANDS] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert vqrec(monkeypatch, command, "--help") == 0
    assert f"Usage: vqrec {command}" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vqrec(monkeypatch, "sing") == 2
    captured = capsys.readouterr()
    assert "No such command 'sing'" in captured.err
    assert captured.out == ""


def test_a_missing_option_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vqrec(monkeypatch, "train") == 2
    assert "Missing option '--data'" in capsys.readouterr().err


def test_a_command_whose_extra_is_missing_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, "paint", "painting.nowhere:paint")
    assert vqrec(monkeypatch, "--help") == 0
    assert "Needs the extra 'painting'" in capsys.readouterr().out
    assert vqrec(monkeypatch, "paint", "--colour", "red", "wall") == 1
    captured = capsys.readouterr()
    assert "pip install '.[painting]' in a checkout" in captured.err
    assert captured.out == ""


def test_a_stage_without_torch_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['vqrec', 'train', '--data', '.', '--domain', 'd', "
        "'--out', 'nowhere']; from models.command_line import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "vqrec: this command needs torch: pip install '.[training]' in a checkout of vqrec"
    ]
    assert done.stdout == ""


def test_an_error_that_the_user_can_act_on_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line.cli, "invoke", lambda _: raise_our_error())
    assert vqrec(monkeypatch, "doctor") == 1
    assert capsys.readouterr().err == "vqrec: the shop's artifact is torn: fetch it again\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(ENOSPC, "No space left on device"), "vqrec: No space left on device\n"),
        (PermissionError(EACCES, "Permission denied", "/out"), "vqrec: /out: Permission denied\n"),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, told: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(command_line.cli, "invoke", fail)
    assert vqrec(monkeypatch, "train") == 1
    assert capsys.readouterr().err == told


def test_an_interrupted_command_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line.cli, "invoke", interrupt)
    assert vqrec(monkeypatch, "doctor") == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_entry_point_that_is_no_command_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "count", "builtins:len")
    with pytest.raises(TypeError, match="not a command"):
        vqrec(monkeypatch, "count")
