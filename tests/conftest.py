"""Fixtures that tests of several folders share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.tiny_models import TinyStore, write_tiny_store

# an example may take long on a busy machine: a test fails for what it finds, not for when
settings.register_profile("vqrec", deadline=None, derandomize=True)  # a change fails for what it did
settings.register_profile("vqrec at full size", deadline=None)
settings.load_profile("vqrec")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-size", action="store_true", help="run long tests at their full size, not the suite's")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--full-size"):
        settings.load_profile("vqrec at full size")


@pytest.fixture(scope="session")
def full_size(request: pytest.FixtureRequest) -> bool:
    """Whether ``--full-size`` was given: as much as a test promises, not as little as the suite affords."""
    return bool(request.config.getoption("--full-size"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    """A tiny store for tests that only read it; one that writes calls ``write_tiny_store`` on its own ``tmp_path``."""
    return write_tiny_store(tmp_path_factory.mktemp("artifacts"), seed=0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets: VQREC_DATA, or ``shared/data`` beside the repository."""
    folder = Path(os.environ.get("VQREC_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set VQREC_DATA to the folder that holds it")
    return folder
