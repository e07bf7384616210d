"""Training for one shop: what is written works, is good, and is the same every time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training.one_shop
from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.codes import CodeLayout
from tests.training.small_shop import CONFIG, ENCODER, TEXT_DIM, SmallShops, Trained, with_fit
from training.batches import Batch, epoch_batches
from training.dataset import Dataset
from training.errors import DataError
from training.evaluate import ServedModel, evaluate
from training.histories import Histories, split_leave_one_out
from training.metrics import ranking_metrics
from training.train import train

pytestmark = pytest.mark.training


def popularity_ndcg(dataset: Dataset) -> float:
    """NDCG@10 on the test targets if everyone is recommended what sells best in training."""
    split = split_leave_one_out(dataset.histories)
    order = np.argsort(-split.train.item_counts(len(dataset.item_ids)), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return ranking_metrics(place[split.test.items])["ndcg@10"]


def test_what_is_written_is_read_by_everyone(shops: SmallShops, trained: Trained) -> None:
    adapter = DomainAdapter.load(trained.result.adapter.path, trained.result.adapter.sha256)
    backbone = Backbone.load(trained.result.backbone.path, threads=1, sha256=adapter.bundle.manifest.backbone)
    served = ServedModel.load(trained.result.adapter.path)
    assert served.encoder.bundle.manifest.name == ENCODER
    assert adapter.bundle.path == trained.store.adapters("shop") / adapter.version
    assert adapter.bundle.manifest.layout.model_dump() == {"num_codebooks": 8, "codebook_size": 32}
    assert (adapter.table.width, adapter.quantizer.text_dim) == (CONFIG.network.width, TEXT_DIM)
    assert backbone.bundle.manifest.max_history == CONFIG.network.max_history
    counts = split_leave_one_out(shops.dataset().histories).train.item_counts(len(shops.dataset().item_ids))
    expected = {item: count for item, count in zip(shops.dataset().item_ids, counts.tolist(), strict=True) if count}
    assert adapter.popularity == expected


def test_the_exported_artifact_is_as_good_as_the_torch_model_and_better_than_popularity(
    shops: SmallShops, trained: Trained
) -> None:
    evaluation = evaluate(shops.dataset(), trained.result.adapter.path)
    in_torch = trained.result.adapter.manifest.metrics["valid"]
    assert evaluation.valid.keys() == in_torch.keys()
    for name, value in in_torch.items():
        assert evaluation.valid[name] == pytest.approx(value, abs=0.005)
    assert evaluation.test["ndcg@10"] > 4 * popularity_ndcg(shops.dataset())


def test_an_interrupted_run_started_again_writes_the_very_same_artifacts(
    shops: SmallShops, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shops.new_store(tmp_path)
    epochs: list[int] = []

    def interrupted(sequences: Sequence[Any], seed: int) -> Iterator[Batch]:
        epochs.append(seed)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return epoch_batches(sequences, seed)

    monkeypatch.setattr(training.one_shop, "epoch_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(shops.dataset(), "shop", store, CONFIG)
    assert not store.adapters("shop").exists()
    result = train(shops.dataset(), "shop", store, CONFIG)
    assert len(epochs) == len(set(epochs)) + 1  # only the epoch that was broken off came twice
    assert result.adapter.sha256 == trained.result.adapter.sha256
    assert result.backbone.sha256 == trained.result.backbone.sha256


def test_a_run_that_ended_leaves_nothing_to_go_on_from(trained: Trained) -> None:
    assert [path.name for path in trained.store.cache.iterdir() if path.is_dir()] == []
    assert sorted(path.name for path in trained.store.root.iterdir()) == [
        ".cache",
        "adapters",
        "backbones",
        "text-encoders",
    ]


def test_a_shop_whose_histories_are_too_short_is_refused(shops: SmallShops, tmp_path: Path) -> None:
    whole = shops.dataset()
    histories = Histories(("u", "v"), np.array([0, 1, 2, 3], dtype=np.int32), np.array([0, 3, 4]))
    with pytest.raises(DataError, match="four interactions"):
        train(replace(whole, histories=histories), "shop", shops.new_store(tmp_path), CONFIG)
    assert not (tmp_path / "adapters").exists()


def test_a_catalogue_too_small_for_its_layout_gets_a_smaller_one_and_that_is_said(
    shops: SmallShops, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(with_fit(max_epochs=1), layout=CodeLayout(8, 256))
    result = train(shops.dataset(), "shop", shops.new_store(tmp_path), config)
    assert result.adapter.manifest.layout.model_dump() == {"num_codebooks": 8, "codebook_size": 32}
    captured = capsys.readouterr()
    assert "using 8 x 32" in captured.err
    assert captured.out == ""
