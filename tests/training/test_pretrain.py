"""Pre-training on several shops: one network, and a projection that makes tables for any."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.backbone import Backbone
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, with_fit
from training.batches import Batch
from training.next_item_model import NextItemModel, new_model
from training.pretrain import mixed_sequences, pretrain
from training.shop import Shop, open_shop

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def opened(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> list[Shop]:
    store = ArtifactStore(tmp_path_factory.mktemp("opened"))
    encoder = TextEncoder.load(shops.encoder, threads=1)
    return [open_shop(shops.dataset(number), encoder, store, CONFIG.new_quantizer) for number in (0, 1)]


@pytest.fixture
def model(opened: list[Shop]) -> NextItemModel:
    return new_model(opened, CONFIG).eval()


def batch(items: list[int], targets: list[int]) -> Batch:
    return Batch(torch.tensor([items]), torch.ones(1, len(items), dtype=torch.bool), torch.tensor(targets))


def test_the_backbone_is_sound_and_a_table_of_its_projection_beats_chance(
    shops: SmallShops, pretrained: Pretrained, opened: list[Shop]
) -> None:
    backbone = Backbone.load(pretrained.backbone.path, threads=1, sha256=pretrained.backbone.sha256)
    for shop in opened:
        table = backbone.projection.base_table(shop.quantizer)
        items, targets = table.raw(shop.codes), shop.split.test
        longest = backbone.bundle.manifest.max_history
        users = backbone.network.user_vectors([items[history[-longest:]] for history in targets.histories])
        scores = users @ table.normalized(shop.codes).T
        ranks = (scores > np.take_along_axis(scores, targets.items[:, None], axis=1)).sum(axis=1)
        assert (ranks < 50).mean() > 2 * 50 / len(shop.codes)


def test_no_shop_leaves_more_behind_than_the_network_and_the_projection(pretrained: Pretrained) -> None:
    assert sorted(path.name for path in pretrained.backbone.path.iterdir()) == [
        "golden.safetensors",
        "manifest.json",
        "network.onnx",
        "network.safetensors",
        "projection.safetensors",
    ]
    assert not (pretrained.store.root / "adapters").exists()
    assert [path for path in pretrained.store.cache.iterdir() if path.is_dir()] == []


def test_sequences_of_all_shops_are_in_one_numbering(opened: list[Shop], model: NextItemModel) -> None:
    sequences = mixed_sequences(model, opened, CONFIG.network.max_history)
    first = len(opened[0].codes)
    of_second = [sequence for sequence in sequences if sequence.min() >= first]
    assert all(sequence.max() < first or sequence.min() >= first for sequence in sequences)
    assert 0 < len(of_second) < len(sequences)
    assert max(int(sequence.max()) for sequence in of_second) < first + len(opened[1].codes)


def test_an_item_of_the_second_shop_is_looked_up_in_the_second_table(opened: list[Shop], model: NextItemModel) -> None:
    torch.nn.init.normal_(model.tables.free)
    first = len(opened[0].codes)
    with torch.no_grad():
        vector = model.tables(model.rows[first + 5 : first + 6])[0].numpy()
    np.testing.assert_allclose(vector, model.tables.fold(1).raw(opened[1].codes[5:6])[0], atol=1e-5)


def test_targets_of_one_code_are_no_negatives_of_each_other(model: NextItemModel) -> None:
    model.rows[7] = model.rows[3]  # two items that share a code
    assert model.in_batch_contrastive(batch([1, 2], [3, 7])).item() == pytest.approx(0, abs=1e-6)
    assert model.in_batch_contrastive(batch([1, 2], [3, 8])).item() > 0.1


def test_items_that_nobody_bought_in_training_are_no_negatives(model: NextItemModel, opened: list[Shop]) -> None:
    candidates = model.trained_items.tolist()
    trained = {
        int(item) + first
        for shop, first in zip(opened, model.first_items, strict=False)
        for item in shop.split.train.items
    }
    assert set(candidates) == trained
    loss = model.full_softmax(batch([candidates[0]], [candidates[1]]))
    assert 0 < loss.item() < 10 * np.log(len(candidates))


def test_the_same_seed_makes_the_same_backbone(shops: SmallShops, tmp_path: Path) -> None:
    shas = {
        pretrain({"only": shops.dataset(1)}, shops.new_store(tmp_path / str(run)), with_fit(max_epochs=1)).sha256
        for run in (0, 1)
    }
    assert len(shas) == 1
