"""Pre-training on several shops: one network, and what makes tables for any."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backbone import Backbone, read_base_quantizer, read_base_table, read_projection
from models.errors import ArtifactMismatchError
from models.manifest import TableKind
from models.store import ArtifactStore
from models.text_encoder import TextEncoder
from tests.training.notes import NotesInJson, read_notes
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, with_fit
from training.batches import Batch
from training.next_item_model import NextItemModel, new_model
from training.pretrain import mixed_sequences, open_shops, pretrain, sample_targets
from training.shop import Shop

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def opened(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> dict[TableKind, list[Shop]]:
    """Both shops, for every kind of table."""
    store = ArtifactStore(tmp_path_factory.mktemp("opened"))
    encoder = TextEncoder.load(shops.encoder, threads=1)
    datasets = {"first": shops.dataset(0), "second": shops.dataset(1)}
    kinds: tuple[TableKind, ...] = ("projected", "shared", "permuted")
    return {kind: open_shops(datasets, encoder, store, replace(CONFIG, tables=kind)) for kind in kinds}


@pytest.fixture
def model(opened: dict[TableKind, list[Shop]]) -> NextItemModel:
    return new_model(opened["projected"], CONFIG).eval()


def test_the_backbone_is_sound_and_a_table_of_its_projection_beats_chance(
    shops: SmallShops, pretrained: Pretrained, opened: dict[TableKind, list[Shop]]
) -> None:
    backbone = Backbone.load(pretrained.backbone.path, threads=1, sha256=pretrained.backbone.sha256)
    for shop in opened["projected"]:
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


def test_sequences_of_all_shops_are_in_one_numbering(model: NextItemModel) -> None:
    sequences = mixed_sequences(model, CONFIG.network.max_history)
    first = len(model.shops[0].codes)
    of_second = [sequence for sequence in sequences if sequence.min() >= first]
    assert all(sequence.max() < first or sequence.min() >= first for sequence in sequences)
    assert 0 < len(of_second) < len(sequences)
    assert max(int(sequence.max()) for sequence in of_second) < first + len(model.shops[1].codes)


@pytest.mark.parametrize("kind", ["shared", "permuted"])
def test_a_backbone_of_one_table_keeps_it_as_every_shop_read_it(
    shops: SmallShops, tmp_path: Path, kind: TableKind
) -> None:
    config = replace(with_fit(max_epochs=1), tables=kind)
    datasets = {"first": shops.dataset(0), "second": shops.dataset(1)}
    backbone = pretrain(datasets, shops.new_store(tmp_path), config)
    assert backbone.manifest.tables == kind
    table = read_base_table(backbone)
    assert (table.layout, table.width) == (CONFIG.layout, CONFIG.network.width)
    if kind == "shared":
        assert read_base_quantizer(backbone).layout == table.layout
    else:
        with pytest.raises(ArtifactMismatchError):
            read_base_quantizer(backbone)
    with pytest.raises(ArtifactMismatchError):
        read_projection(backbone)


@pytest.mark.parametrize("kind", ["shared", "permuted"])
def test_shops_of_one_table_learn_it_together(opened: dict[TableKind, list[Shop]], kind: TableKind) -> None:
    model = new_model(opened[kind], replace(CONFIG, tables=kind))
    before = model.tables.fold(0).rows.copy()
    assert model.tables.fold(1).rows.tobytes() == before.tobytes()
    of_first = torch.tensor([[0, 1, 2]])
    batch = Batch(of_first, torch.ones_like(of_first, dtype=torch.bool), torch.tensor([1, 2, 3]))
    model.in_batch_contrastive(batch).backward()
    assert model.tables.free.grad is not None
    learned = model.tables.free.grad.abs().sum(dim=1) > 0  # [rows]
    items_of_second = model.rows[len(model.shops[0].codes) :]
    assert learned[items_of_second].any()
    assert not learned[items_of_second].all()


def test_validation_looks_at_a_bounded_sample_that_the_seed_draws(opened: dict[TableKind, list[Shop]]) -> None:
    targets = opened["projected"][0].split.valid
    sample, again, other = (sample_targets(targets, 50, seed) for seed in (0, 0, 1))
    assert len(sample) == len(sample.histories) == 50
    assert sample.histories.user_ids == again.histories.user_ids != other.histories.user_ids
    place = {user_id: place for place, user_id in enumerate(targets.histories.user_ids)}
    for number, user_id in enumerate(sample.histories.user_ids):
        assert sample.items[number] == targets.items[place[user_id]]
        assert sample.histories[number].tolist() == targets.histories[place[user_id]].tolist()
    assert sample_targets(targets, len(targets), 0) is targets


def test_every_metric_of_every_shop_is_noted(shops: SmallShops, tmp_path: Path) -> None:
    store = shops.new_store(tmp_path)
    datasets = {"first": shops.dataset(0), "second": shops.dataset(1)}
    pretrain(datasets, store, with_fit(max_epochs=2), open_journal=NotesInJson)
    notes = read_notes(store)
    losses = [value for name, step, value in notes if name == "loss"]
    scores = [(step, value) for name, step, value in notes if name == "valid/ndcg@10"]
    first, second = ([v for name, _, v in notes if name == f"valid/{shop}/ndcg@10"] for shop in (0, 1))
    assert [step for step, _ in scores] == [0, len(losses) // 2, len(losses)]
    assert [value for _, value in scores] == pytest.approx([(a + b) / 2 for a, b in zip(first, second, strict=True)])
    assert losses[-1] < losses[0]


def test_the_same_seed_makes_the_same_backbone(shops: SmallShops, tmp_path: Path) -> None:
    shas = {
        pretrain({"only": shops.dataset(1)}, shops.new_store(tmp_path / str(run)), with_fit(max_epochs=1)).sha256
        for run in (0, 1)
    }
    assert len(shas) == 1
