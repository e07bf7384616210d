"""The service starts without what only training needs."""

import json
import subprocess
import sys

import pytest

FORBIDDEN = ("torch", "training", "models.networks", "polars", "transformers")


@pytest.mark.parametrize("module", ["service.app", "service.commands"])
def test_the_service_imports_nothing_of_training(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in json.loads(loaded.stdout) if name in FORBIDDEN] == []
