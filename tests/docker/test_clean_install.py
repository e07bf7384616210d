"""The service image's install steps, carried out in a virtual environment of their own: it serves without torch."""

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.docker.dockerfiles import REPOSITORY, copied, install_arguments
from tests.tiny_models import write_tiny_store

pytestmark = [pytest.mark.clean_install, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image's builder makes: a virtual environment with the service in it."""
    source = tmp_path_factory.mktemp("src")
    for name in copied("service"):
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    environment = tmp_path_factory.mktemp("venv")
    venv.create(environment, with_pip=True)
    install = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", *install_arguments("service")]
    subprocess.run(install, cwd=source, check=True)
    return environment


def test_there_is_no_torch_and_no_training_code(environment: Path) -> None:
    question = "import importlib.util as u; print([n for n in ('torch', 'transformers', 'training') if u.find_spec(n)])"
    assert _run(environment, "python", "-c", question).stdout.strip() == "[]"


def test_the_command_line_names_every_command_and_says_what_is_missing(environment: Path) -> None:
    listed = _run(environment, "vqrec", "--help").stdout
    assert all(command in listed for command in ("serve", "doctor", "train", "ingest"))
    refused = _run(environment, "vqrec", "train", status=1)
    assert "pip install 'vqrec[training]'" in refused.stderr


def test_doctor_finds_nothing_wrong_with_whole_artifacts(environment: Path, tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "artifacts")
    examined = _run(environment, "vqrec", "doctor", "--port", "0", status=0, cwd=tmp_path)
    assert "all is well" in examined.stdout
    assert re.search(r"package torch\s+not installed", examined.stdout)


def test_the_service_starts_and_is_alive(environment: Path, tmp_path: Path) -> None:
    with _served(environment, tmp_path) as url, urlopen(f"{url}/livez", timeout=30) as response:  # noqa: S310
        assert response.status == 200
        assert response.read() == b'{"status":"alive"}'


def _run(
    environment: Path, program: str, *arguments: str, status: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / program), *arguments]
    # Not from the repository, whose packages would be imported in place of those that were installed.
    completed = subprocess.run(
        command, cwd=cwd or environment, env=_environment_variables(), capture_output=True, text=True, check=False
    )
    assert completed.returncode == status, completed.stdout + completed.stderr
    return completed


@contextmanager
def _served(environment: Path, folder: Path) -> Iterator[str]:
    command = [str(environment / "bin" / "vqrec"), "serve", "--port", "0", "--data-dir", "state"]
    process = subprocess.Popen(command, cwd=folder, env=_environment_variables(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        # Read to the line that names the port; there is no end to wait for while it runs.
        lines = iter(process.stderr.readline, "")
        found = next(filter(None, (re.search(r"running on (http://[\d.:]+)", line) for line in lines)), None)
        assert found is not None, "the service ended before it listened"
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _environment_variables() -> dict[str, str]:
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    ours = {name: value for name, value in kept.items() if not name.startswith("VQREC_")}
    return {**ours, "VQREC_DRAIN_SECONDS": "0"}
