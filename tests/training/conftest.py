"""Trainings that several tests look at, and the command line."""

import pytest
import torch

from tests.training.running_commands import Vqrec, vqrec_in
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, Trained, with_fit, write_small_shops
from training.pretrain import pretrain
from training.train import train


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # the networks are too small to share


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> SmallShops:
    return write_small_shops(tmp_path_factory.mktemp("shops"), users=400)


@pytest.fixture(scope="session")
def trained(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    store = shops.new_store(tmp_path_factory.mktemp("trained"))
    return Trained(store, train(shops.dataset(), "shop", store, CONFIG))


@pytest.fixture(scope="session")
def pretrained(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    store = shops.new_store(tmp_path_factory.mktemp("pretrained"))
    datasets = {"first": shops.dataset(0), "second": shops.dataset(1)}
    return Pretrained(store, pretrain(datasets, store, with_fit(max_epochs=5)))


@pytest.fixture
def vqrec(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vqrec:
    """The command line, run in this process."""
    return vqrec_in(monkeypatch, capfd)
