"""ONNX Runtime reports to nobody."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_THREADS = "from pathlib import Path; print(len(list(Path('/proc/self/task').iterdir())))"


def test_nothing_is_left_on_disk_and_no_thread_waits_to_send(tmp_path: Path) -> None:
    # An environment of its own: ONNX Runtime is silent by itself where it takes it for that of a test.
    def threads(program: str) -> int:
        command = [sys.executable, "-c", f"{program}; {_THREADS}"]
        environment = {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert threads("import models.onnx_session") == threads("import models, numpy")
    assert list(tmp_path.rglob("*")) == []
