"""Artifacts that tests damage copies of."""

from pathlib import Path

import pytest

from tests.hostile.readers import write_sound
from tests.tiny_models import TinyStore


@pytest.fixture(scope="session")
def sound(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sound artifact of each kind; the backbones have all the optional parts."""
    return write_sound(tiny, tmp_path_factory.mktemp("sound"))
