"""The service image's install steps, carried out in a virtual environment of their own: it serves without torch."""

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest

from tests.docker.dockerfiles import REPOSITORY, copied, install_arguments
from tests.integration.faults.waiting import wait_until
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
    assert "pip install '.[training]'" in refused.stderr


def test_doctor_finds_nothing_wrong_with_whole_artifacts(environment: Path, tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "artifacts")
    examined = _run(environment, "vqrec", "doctor", "--port", "0", status=0, cwd=tmp_path)
    assert "all is well" in examined.stdout
    assert re.search(r"package torch\s+not installed", examined.stdout)


def test_the_service_starts_and_is_alive(environment: Path, tmp_path: Path) -> None:
    with _served(environment, tmp_path) as url, urlopen(f"{url}/livez", timeout=30) as response:  # noqa: S310
        assert response.status == 200
        assert response.read() == b'{"status":"alive"}'


# What `read_only`, `cap_drop` and `no-new-privileges` of the compose file are, without an engine: $1 and $2 can be
# written, and nothing else.
_CONFINED = """
mount --bind "$1" "$1" && mount --bind "$2" "$2" && mount -o remount,bind,ro / && cd "$1" || exit 77
shift 2
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""


def test_the_service_needs_no_rights_and_writes_nothing_but_its_data(environment: Path, tmp_path: Path) -> None:
    data, scratch, artifacts = (tmp_path / name for name in ("data", "scratch", "artifacts"))
    store = write_tiny_store(artifacts)
    for folder in (data, scratch):
        folder.mkdir()
    confined = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _CONFINED, "sh", str(data), str(scratch))
    tried = subprocess.run([*confined, "sh", "-c", f"touch {data}/here; touch {artifacts}/x"], check=False)
    if tried.returncode == 77 or not (data / "here").exists():
        pytest.skip("nothing can be confined here")
    assert tried.returncode != 0
    assert not (artifacts / "x").exists()
    variables = {"NUMBA_CACHE_DIR": str(data / "kernels"), "TMPDIR": str(scratch), "VQREC_ARTIFACTS": str(artifacts)}
    with _served(environment, tmp_path, confined, variables) as url:
        source = {"source": str(store.adapter.path.relative_to(artifacts))}
        assert httpx.put(f"{url}/v1/admin/domains/shop/adapter", json=source, timeout=60).status_code == 202
        domain = f"{url}/v1/domains/shop"
        wait_until(lambda: "adapter_version" in httpx.get(domain, timeout=60).json(), "the domain is served")
        assert httpx.put(f"{domain}/items/A1", json={"text": "a hammer"}, timeout=60).status_code == 201
        answer = httpx.post(f"{domain}/recommendations", json={"history": ["A1"]}, timeout=60)
        assert answer.status_code == 200
    assert {path.name for path in data.iterdir()} == {"here", "kernels", "state"}


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
def _served(
    environment: Path, folder: Path, before: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The service's URL while it runs; ``before`` is what runs its command."""
    command = [*before, str(environment / "bin" / "vqrec"), "serve", "--port", "0", "--data-dir", "state"]
    process = subprocess.Popen(
        command, cwd=folder, env={**_environment_variables(), **(variables or {})}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        # Read to the line that names the port; there is no end to wait for while it runs.
        log = []
        for line in iter(process.stderr.readline, ""):
            log.append(line)
            if found := re.search(r"running on (http://[\d.:]+)", line):
                break
        else:
            raise AssertionError(f"the service ended before it listened: {''.join(log)}")
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _environment_variables() -> dict[str, str]:
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    ours = {name: value for name, value in kept.items() if not name.startswith("VQREC_")}
    return {**ours, "VQREC_DRAIN_SECONDS": "0"}
