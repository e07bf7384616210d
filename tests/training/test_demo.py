"""The demo around its training: what it looks at before, and what it need not do twice."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.small_shop import SmallShops
from training.demo_artifacts import identity, trained_once

OF = {"garden": "a fingerprint", "options": "few epochs", "code": "a digest"}


@pytest.fixture
def trainings() -> list[str]:
    return []


@pytest.fixture
def train(tmp_path: Path, trainings: list[str]) -> Callable[[], dict[str, Path]]:
    def train() -> dict[str, Path]:
        adapter = tmp_path / "adapters" / str(len(trainings))
        adapter.mkdir(parents=True)
        trainings.append(adapter.name)
        return {"garden": adapter}

    return train


def test_what_was_trained_of_the_same_is_not_trained_again(
    tmp_path: Path, train: Callable[[], dict[str, Path]], trainings: list[str]
) -> None:
    record, said = tmp_path / "trained.json", list[str]()
    first = trained_once(record, OF, train, said.append)
    assert said == []
    assert trained_once(record, OF, train, said.append) == first
    assert trainings == ["0"]
    assert said == [f"Trained before, of the same: {record} tells what. Without that file it is trained anew."]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"options": "more epochs"}, "options changed"),
        ({"garden": "another", "code": "another"}, "code and garden changed"),
        ({"outdoor": "a shop more"}, "outdoor changed"),
    ],
)
def test_what_was_trained_of_something_else_is_trained_anew_and_it_says_why(
    tmp_path: Path, train: Callable[[], dict[str, Path]], trainings: list[str], change: dict[str, str], why: str
) -> None:
    record, said = tmp_path / "trained.json", list[str]()
    trained_once(record, OF, train, said.append)
    second = trained_once(record, {**OF, **change}, train, said.append)
    assert trainings == ["0", "1"]
    assert said == [f"Trained anew, since {why}."]
    assert trained_once(record, {**OF, **change}, train, said.append) == second
    assert trainings == ["0", "1"]


def test_what_is_gone_or_cannot_be_read_is_trained_anew(
    tmp_path: Path, train: Callable[[], dict[str, Path]], trainings: list[str]
) -> None:
    record, said = tmp_path / "trained.json", list[str]()
    adapter = trained_once(record, OF, train, said.append)["garden"]
    adapter.rmdir()
    trained_once(record, OF, train, said.append)
    assert said == [f"Trained anew, since {adapter} is gone."]
    record.write_text(record.read_text()[:-20])
    trained_once(record, OF, train, said.append)
    assert trainings == ["0", "1", "2"]


def test_data_and_options_and_code_are_what_it_is_trained_of(shops: SmallShops) -> None:
    of = identity({"first": shops.folders[0]}, "few epochs")
    assert of.keys() == {"first", "options", "code"}
    assert of == identity({"first": shops.folders[0]}, "few epochs")
    assert of["first"] != identity({"first": shops.folders[1]}, "few epochs")["first"]


def test_a_port_that_is_taken_is_told_before_anything_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "training.demo", "--folder", str(folder), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"demo: port {port} is taken: stop what listens there, or choose another port\n"
    assert not folder.exists()
