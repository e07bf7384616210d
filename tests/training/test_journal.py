"""What a journal writes, and that none is needed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from training.journal import Journal, MissingExtraError, TensorBoardJournal

HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None


def test_a_journal_that_nobody_asked_for_forgets() -> None:
    journal = Journal()
    journal.note("loss", 1.0)
    journal.step += 1
    journal.close()


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="the package tensorboard is not installed")
def test_tensorboard_reads_what_was_noted_and_a_resumed_run_goes_on(tmp_path: Path) -> None:
    """Read in a process of its own: what reads event files stays out of this one."""
    for steps in ([1, 2], [3]):
        journal = TensorBoardJournal(tmp_path)
        for journal.step in steps:
            journal.note("valid/ndcg@10", journal.step / 4)
        journal.close()
    program = (
        "import sys\n"
        "from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer\n"
        "events = EventMultiplexer().AddRunsFromDirectory(sys.argv[1]).Reload()\n"
        "print(sorted((event.step, event.value) for event in events.Scalars('.', 'valid/ndcg@10')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(1, 0.25), (2, 0.5), (3, 0.75)]"


def test_without_tensorboard_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if its import failed
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[tensorboard\]'"):
        TensorBoardJournal(tmp_path)
