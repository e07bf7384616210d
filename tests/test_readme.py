"""The tour of the README, run as it stands there."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
# Where a command fails, what runs in the background would hold the output open for ever.
_PREAMBLE = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
_BLOCK = re.compile(r"^<!-- test: tour -->\n```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.training
@pytest.mark.timeout(900)
def test_the_tour_does_what_it_says(tmp_path: Path) -> None:
    output = _run("\n".join(_blocks()), tmp_path)

    ranked = [document for document in _documents(output) if "unknown_history_items" in document]
    filtered, with_new_item, swapped = ranked
    assert len(filtered["items"]) == 3
    for item in filtered["items"]:
        assert item["attributes"]["category"] in ("protection", "safety")
        assert item["attributes"]["in_stock"] is True
        assert item["attributes"]["price"] <= 150
    assert "NEW-1" in [item["item_id"] for item in with_new_item["items"]]
    assert with_new_item["adapter_version"] == filtered["adapter_version"]
    assert swapped["adapter_version"] != filtered["adapter_version"]

    (rolled_back,) = [document for document in _documents(output) if "state" in document][2:]
    assert rolled_back["adapter_version"] == filtered["adapter_version"]


def _blocks() -> list[str]:
    return _BLOCK.findall((REPOSITORY / "README.md").read_text())


def _run(script: str, folder: Path) -> str:
    """The script's output. It runs in a process group of its own, so that what it started ends with it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VQREC_", "REDIS_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PORT"] = str(_free_port())
    process = subprocess.Popen(
        ["/bin/bash", "-euo", "pipefail", "-c", _PREAMBLE + script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    return output


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _documents(output: str) -> list[dict[str, Any]]:
    """The JSON objects in some output, wherever they begin."""
    decoder, documents, position = json.JSONDecoder(), [], output.find("{")
    while position >= 0:
        document, position = decoder.raw_decode(output, position)
        documents.append(document)
        position = output.find("{", position)
    return documents
