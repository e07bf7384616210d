"""Rules of the house that a tool can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "service", "training")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 300

SETTINGS = ROOT / "service" / "settings.py"
OPENMP = ROOT / "training" / "threads.py"  # sets a default for OpenMP, which listens to nothing else
TELEMETRY = ROOT / "models" / "__init__.py"  # turns that of ONNX Runtime off, which listens to nothing else

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 50


@every_module
def test_a_module_fits_a_mind(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MOST_LINES
    assert module.stem not in {"utils", "helpers", "common", "misc", "manager"}


@every_module
def test_nothing_is_pickled(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert {"pickle", "joblib", "dill", "shelve", "marshal"}.isdisjoint(name.split(".")[0] for name in imported(tree))
    for name, call in calls(tree):
        assert name not in {"torch.load", "torch.save"}
        assert "allow_pickle" not in {keyword.arg for keyword in call.keywords}


@every_module
def test_the_environment_is_read_in_the_settings_alone(module: Path) -> None:
    tree = ast.parse(module.read_text())
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    reads = names & {"os.environ", "os.getenv", "os.environb", "environ", "getenv"}
    assert not reads or module in (SETTINGS, OPENMP, TELEMETRY)


def test_packages_import_each_other_as_they_may() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
