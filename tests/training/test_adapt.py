"""Adapting: a table for one shop under a network that stays as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import training.adapt
from models.adapter import DomainAdapter
from models.backbone import Backbone, read_projection
from models.bundle import read_bundle
from models.errors import ArtifactMismatchError, ArtifactNotFoundError
from models.manifest import BackboneManifest
from models.store import ArtifactStore
from tests.tiny_models import write_tiny_store
from tests.training.small_shop import Pretrained, SmallShops, with_fit
from training.adapt import NetworkChangedError, adapt, weights_sha256
from training.backbone_export import read_backbone
from training.checkpoint import CheckpointFolder
from training.evaluate import evaluate
from training.loop import FitConfig, FitResult, Task, fit

pytestmark = pytest.mark.training


def test_the_network_stays_and_the_adapter_names_it(shops: SmallShops, pretrained: Pretrained, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    before = weights_sha256(read_backbone(pretrained.backbone.path)[1])
    adapter = adapt(shops.dataset(1), "second", pretrained.backbone.path, store, with_fit(max_epochs=2))
    assert weights_sha256(read_backbone(pretrained.backbone.path)[1]) == before
    read_bundle(pretrained.backbone.path, BackboneManifest, pretrained.backbone.sha256)
    assert adapter.manifest.backbone == pretrained.backbone.sha256
    assert adapter.manifest.text_encoder == pretrained.backbone.manifest.text_encoder
    assert [path.name for path in store.backbones.iterdir()] == [pretrained.backbone.version]


def test_a_start_that_tuning_does_not_improve_is_kept(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    ruinous = with_fit(learning_rate=100.0, max_epochs=2)
    bundle = adapt(shops.dataset(0), "kept", pretrained.backbone.path, ArtifactStore(tmp_path), ruinous)
    adapter = DomainAdapter.load(bundle.path)
    base = read_projection(pretrained.backbone).base_table(adapter.quantizer)
    np.testing.assert_allclose(adapter.table.rows, base.rows, atol=1e-5)


def test_tuning_improves_on_the_start_and_its_artifacts_are_whole_in_another_folder(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "elsewhere")
    tuned = adapt(shops.dataset(0), "tuned", pretrained.backbone.path, store, with_fit(max_epochs=4))
    adapter = DomainAdapter.load(tuned.path)
    base = read_projection(pretrained.backbone).base_table(adapter.quantizer)
    assert np.abs(adapter.table.rows - base.rows).max() > 1e-3
    Backbone.load(store.find(store.backbones, pretrained.backbone.sha256), threads=1)
    evaluation = evaluate(shops.dataset(0), tuned.path)
    for name, value in tuned.manifest.metrics["valid"].items():
        assert evaluation.valid[name] == pytest.approx(value, abs=0.005)

    untuned = adapt(
        shops.dataset(0), "untuned", pretrained.backbone.path, store, with_fit(learning_rate=100.0, max_epochs=1)
    )
    assert evaluation.valid["ndcg@10"] > untuned.manifest.metrics["valid"]["ndcg@10"]


def test_the_same_seed_makes_the_same_adapter(shops: SmallShops, pretrained: Pretrained, tmp_path: Path) -> None:
    def sha256(seed: int, run: int) -> str:
        store = ArtifactStore(tmp_path / f"{seed}-{run}")
        config = with_fit(max_epochs=1, seed=seed)
        return adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, config).sha256

    assert sha256(0, run=0) == sha256(0, run=1) != sha256(1, run=0)


def test_a_network_that_changed_is_a_fault_and_nothing_is_written(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddling_fit(task: Task, config: FitConfig, checkpoints: CheckpointFolder) -> FitResult:
        result = fit(task, config, checkpoints)
        next(task.model.parameters()).data[0] += 1e-6
        return result

    monkeypatch.setattr(training.adapt, "fit", meddling_fit)
    store = ArtifactStore(tmp_path)
    with pytest.raises(NetworkChangedError):
        adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, with_fit(max_epochs=1))
    assert not (tmp_path / "adapters").exists()


def test_the_codes_of_an_adapter_can_be_kept_and_its_table_learns_anew(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path)
    first = adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, with_fit(max_epochs=1, seed=1))
    config = with_fit(max_epochs=2, seed=2)
    second = adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, replace(config, quantizer_of=first.path))
    assert second.manifest.quantizer == first.manifest.quantizer
    before, after = DomainAdapter.load(first.path).table, DomainAdapter.load(second.path).table
    assert np.abs(before.rows - after.rows).max() > 1e-3
    anew = adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, config)
    assert anew.manifest.quantizer != first.manifest.quantizer


def test_the_quantiser_of_another_text_encoder_is_refused(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    other = write_tiny_store(tmp_path / "other", seed=9)
    store = ArtifactStore(tmp_path)
    with pytest.raises(ArtifactMismatchError, match="another text encoder"):
        config = replace(with_fit(), quantizer_of=other.adapter.path)
        adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, config)


def test_a_backbone_without_its_text_encoder_cannot_be_adapted(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path)
    alone = store.take_over(pretrained.backbone.path, store.backbones)
    with pytest.raises(ArtifactNotFoundError):
        adapt(shops.dataset(0), "shop", alone, store, with_fit(max_epochs=1))
