"""The commands, as a user calls them."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from service.commands import check_folders, doctor, serve
from service.errors import ConfigurationError
from service.settings import load_settings
from tests.tiny_models import TinyStore, write_tiny_store


def test_without_keys_only_loopback_is_served(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(serve, ["--host", "0.0.0.0", "--data-dir", str(tmp_path)])  # noqa: S104
    assert outcome.exit_code == 1
    assert "VQREC_API_KEYS" in outcome.output


@pytest.mark.parametrize(("setting", "option"), [("VQREC_ARTIFACTS", "--artifacts"), ("VQREC_DATA_DIR", "--data-dir")])
def test_what_should_be_a_folder_and_is_a_file_ends_the_start(tmp_path: Path, setting: str, option: str) -> None:
    file = tmp_path / "file"
    file.touch()
    folders = {"--artifacts": str(tmp_path), "--data-dir": str(tmp_path / "data"), option: str(file)}
    with pytest.raises(ConfigurationError, match=re.escape(f"{setting} ({file}) is no folder")):
        check_folders(load_settings(artifacts=folders["--artifacts"], data_dir=folders["--data-dir"]))


def test_a_folder_for_data_is_made_below_those_that_are_there(tmp_path: Path) -> None:
    check_folders(load_settings(artifacts=tmp_path, data_dir=tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_for_data_that_cannot_be_made_ends_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"^VQREC_DATA_DIR \(/proc/nowhere\) cannot be made: "):
        check_folders(load_settings(data_dir=Path("/proc/nowhere")))


def test_a_fault_at_the_start_is_one_line_and_no_traceback(tiny: TinyStore, tmp_path: Path) -> None:
    command = "from service.commands import serve; serve()"
    arguments = ["--port", "0", "--artifacts", str(tiny.root), "--data-dir", str(tmp_path)]
    outcome = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VQREC_BACKBONE": "0123"},
    )
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1].startswith("Error: VQREC_BACKBONE is '0123'")
    assert "Traceback" not in outcome.stderr
    assert "exception" not in outcome.stderr
    assert "compiling-kernels" not in outcome.stderr
    assert list(tmp_path.iterdir()) == []  # no Redis was started


def test_a_port_that_is_taken_ends_the_start_before_anything_is_started(tiny: TinyStore, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["--port", port, "--artifacts", str(tiny.root), "--data-dir", str(tmp_path)]
        outcome = CliRunner().invoke(serve, arguments)
    assert outcome.exit_code == 1
    assert (
        outcome.output
        == f"Error: port {port} of 127.0.0.1 is taken: choose another with --port, or end what listens there\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_ends_the_start(tmp_path: Path, host: str) -> None:
    arguments = ["--host", host, "--data-dir", str(tmp_path)]
    outcome = CliRunner().invoke(serve, arguments, env={"VQREC_API_KEYS": "hidden-key:read"})
    assert outcome.exit_code == 1
    assert outcome.output.startswith("Error: ")
    assert host in outcome.output


def test_the_doctor_finds_all_well(tiny: TinyStore, tmp_path: Path) -> None:
    arguments = ["--artifacts", str(tiny.root), "--data-dir", str(tmp_path), "--port", "0"]
    outcome = CliRunner().invoke(doctor, arguments, env={"VQREC_API_KEYS": "hidden-key:read"})
    assert outcome.exit_code == 0, outcome.output
    assert "all is well" in outcome.output
    assert "VQREC_STREAM_LENGTH" in outcome.output
    assert "hidden-key" not in outcome.output


def test_the_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    store = write_tiny_store(tmp_path / "artifacts")
    (store.adapter.path / "popularity.json").write_text('{"a": 1}')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = CliRunner().invoke(
            doctor,
            ["--artifacts", str(store.root), "--port", str(port)],
            env={"REDIS_URL": f"unix://{tmp_path}/nobody.sock"},
        )
    assert outcome.exit_code == 1
    wrong = [line.split()[1] for line in outcome.output.splitlines() if line.startswith("WRONG")]
    assert wrong == ["adapter", "Redis", "port"]


@pytest.mark.parametrize(
    ("number", "code", "last"),
    [(signal.SIGTERM, -signal.SIGTERM, "Finished server process"), (signal.SIGINT, 130, "stopped by Ctrl-C")],
)
def test_a_service_starts_answers_and_stops_when_it_is_told_to(
    tiny: TinyStore, tmp_path: Path, number: signal.Signals, code: int, last: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # As in a terminal: what a shell runs in the background ignores SIGINT, and so would its children.
    ctrl_c = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = f"{ctrl_c}; from service.commands import serve; serve()"
    arguments = ["--port", str(port), "--artifacts", str(tiny.root), "--data-dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "VQREC_DRAIN_SECONDS": "0"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").json()["status"] in ("ready", "loading")
    finally:
        process.send_signal(number)
        log = process.stderr.read()
        process.stderr.close()
        process.wait(30)
    assert process.returncode == code
    assert "Application shutdown complete" in log
    assert last in log.splitlines()[-1]
    assert "Traceback" not in log
