"""Adapting: a table for one shop under a network that stays as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import training.adapt
from models.adapter import DomainAdapter
from models.backbone import Backbone, read_base_quantizer, read_base_table, read_projection
from models.bundle import read_bundle
from models.codes import CodeLayout
from models.errors import ArtifactMismatchError, ArtifactNotFoundError
from models.manifest import BackboneManifest, TableKind
from models.store import ArtifactStore
from tests.tiny_models import write_tiny_store
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, with_fit
from training.adapt import NetworkChangedError, adapt, weights_sha256
from training.adapt_config import AdaptConfig
from training.backbone_export import read_backbone
from training.checkpoint import CheckpointFolder
from training.dataset import Dataset
from training.evaluate import evaluate
from training.histories import split_leave_one_out
from training.loop import FitConfig, FitResult, Task, fit
from training.pretrain import pretrain
from training.share import share_of_users
from training.zero_shot import train_zero_shot

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


NOT_TUNED = FitConfig(max_epochs=1, learning_rate=1e-12)


def pretrained_with(shops: SmallShops, root: Path, tables: TableKind) -> Pretrained:
    store = shops.new_store(root)
    datasets = {"first": shops.dataset(0), "second": shops.dataset(1)}
    return Pretrained(store, pretrain(datasets, store, replace(with_fit(max_epochs=5), tables=tables)))


@pytest.fixture(scope="module")
def permuted(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return pretrained_with(shops, tmp_path_factory.mktemp("permuted"), "permuted")


@pytest.fixture(scope="module")
def shared(shops: SmallShops, tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return pretrained_with(shops, tmp_path_factory.mktemp("shared"), "shared")


def test_a_permuted_table_is_aligned_and_the_permutation_folded_into_what_is_exported(
    shops: SmallShops, permuted: Pretrained, tmp_path: Path
) -> None:
    # another seed, else the shop had the very codes that it was pre-trained with
    config = replace(AdaptConfig.of(with_fit()), fit=replace(NOT_TUNED, seed=3))
    backbone, store = permuted.backbone, ArtifactStore(tmp_path)
    aligned = DomainAdapter.load(adapt(shops.dataset(0), "shop", backbone.path, store, config).path)
    layout = aligned.table.layout
    base = read_base_table(backbone).rows.reshape(layout.num_codebooks, layout.codebook_size, -1)
    rows = aligned.table.rows.reshape(base.shape)
    assert np.abs(rows - base).max() > 1e-3
    for book in range(layout.num_codebooks):
        np.testing.assert_allclose(np.sort(rows[book], axis=0), np.sort(base[book], axis=0), atol=1e-6)

    in_order = adapt(shops.dataset(0), "shop", backbone.path, store, replace(config, alignment=None))
    np.testing.assert_allclose(DomainAdapter.load(in_order.path).table.rows.reshape(base.shape), base, atol=1e-6)
    assert aligned.bundle.manifest.metrics["valid"]["ndcg@10"] > in_order.manifest.metrics["valid"]["ndcg@10"]


def test_codes_that_do_not_fit_a_permuted_table_cannot_be_kept(
    shops: SmallShops, permuted: Pretrained, tmp_path: Path
) -> None:
    items, backbone, store = shops.dataset(0).items, permuted.backbone, shops.new_store(tmp_path)
    layout = CONFIG.layout
    for fingerprints, num_codebooks in ((1, layout.num_codebooks), (0, 2 * layout.num_codebooks)):
        wished = replace(
            CONFIG, fingerprints=fingerprints, layout=CodeLayout(num_codebooks, layout.codebook_size), text_start=False
        )
        other = train_zero_shot(items, "shop", store, wished).adapter
        with pytest.raises(ArtifactMismatchError, match="do not fit"):
            adapt(shops.dataset(0), "shop", backbone.path, store, replace(with_fit(), quantizer_of=other.path))


def test_an_aligned_table_is_tuned_under_a_network_that_stays(
    shops: SmallShops, permuted: Pretrained, tmp_path: Path
) -> None:
    before = weights_sha256(read_backbone(permuted.backbone.path)[1])
    store = ArtifactStore(tmp_path)
    config = AdaptConfig.of(with_fit(max_epochs=4))
    aligned = adapt(shops.dataset(0), "shop", permuted.backbone.path, store, replace(config, fit=NOT_TUNED))
    tuned = adapt(shops.dataset(0), "shop", permuted.backbone.path, store, config)
    assert tuned.manifest.metrics["valid"]["ndcg@10"] > aligned.manifest.metrics["valid"]["ndcg@10"]
    assert weights_sha256(read_backbone(permuted.backbone.path)[1]) == before
    assert not list((tmp_path / ".cache").glob("*/checkpoint.safetensors"))


def test_an_interrupted_run_goes_on_tuning_without_aligning_anew(
    shops: SmallShops, permuted: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = []

    def watched_fit(task: Task, config: FitConfig, checkpoints: CheckpointFolder) -> FitResult:
        resumed = checkpoints.load()
        stages.append((task.label, 0 if resumed is None else resumed.epoch))
        if task.label.startswith("adapting") and len(stages) < 3:
            raise KeyboardInterrupt
        return fit(task, config, checkpoints)

    for module in ("training.adapt.fit", "training.align.fit"):
        monkeypatch.setattr(module, watched_fit)
    config = replace(AdaptConfig.of(with_fit(max_epochs=1)), alignment=FitConfig(max_epochs=2, learning_rate=0.3))
    store = ArtifactStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        adapt(shops.dataset(0), "shop", permuted.backbone.path, store, config)
    adapt(shops.dataset(0), "shop", permuted.backbone.path, store, config)
    assert stages == [("aligning codes", 0), ("adapting shop", 0), ("aligning codes", 2), ("adapting shop", 0)]


def test_with_shared_tables_the_shop_takes_quantiser_and_table_as_they_are(
    shops: SmallShops, shared: Pretrained, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path)
    config = replace(with_fit(), fit=NOT_TUNED)
    untuned = DomainAdapter.load(adapt(shops.dataset(0), "shop", shared.backbone.path, store, config).path)
    assert untuned.quantizer.sha256 == read_base_quantizer(shared.backbone).sha256
    np.testing.assert_allclose(untuned.table.rows, read_base_table(shared.backbone).rows, atol=1e-6)
    tuned = adapt(shops.dataset(0), "shop", shared.backbone.path, store, with_fit(max_epochs=4))
    assert tuned.manifest.quantizer == untuned.bundle.manifest.quantizer
    assert tuned.manifest.metrics["valid"]["ndcg@10"] > untuned.bundle.manifest.metrics["valid"]["ndcg@10"]


def test_no_other_quantiser_can_be_kept_under_shared_tables(
    shops: SmallShops, shared: Pretrained, pretrained: Pretrained, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path)
    own = adapt(shops.dataset(0), "shop", pretrained.backbone.path, store, replace(with_fit(), fit=NOT_TUNED))
    with pytest.raises(ArtifactMismatchError, match="no other can be kept"):
        adapt(shops.dataset(0), "shop", shared.backbone.path, store, replace(with_fit(), quantizer_of=own.path))


def test_with_a_share_of_the_users_the_others_interactions_make_no_difference(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    whole = shops.dataset(0)
    share = share_of_users(split_leave_one_out(whole.histories), 0.25, seed=0).train
    drawn = np.isin(whole.histories.user_ids, share.user_ids)
    config = replace(AdaptConfig.of(with_fit(max_epochs=2)), share=0.25)
    bundle = adapt(whole, "shop", pretrained.backbone.path, ArtifactStore(tmp_path), config)
    adapter = DomainAdapter.load(bundle.path)
    assert sum(adapter.popularity.values()) == len(share.items)
    assert bundle.manifest.made_with["share"] == 0.25

    config = replace(config, quantizer_of=bundle.path)
    kept = DomainAdapter.load(adapt(whole, "shop", pretrained.backbone.path, ArtifactStore(tmp_path), config).path)
    meddled = _with_other_histories(whole, ~drawn)
    same = DomainAdapter.load(adapt(meddled, "shop", pretrained.backbone.path, ArtifactStore(tmp_path), config).path)
    np.testing.assert_array_equal(kept.table.rows, same.table.rows)
    assert (kept.popularity, kept.bundle.manifest.metrics) == (same.popularity, same.bundle.manifest.metrics)


def _with_other_histories(dataset: Dataset, users: npt.NDArray[np.bool_]) -> Dataset:
    """The same, but for what ``users``, bool [users], did."""
    histories = dataset.histories
    items = np.where(users[histories.users], 0, histories.items).astype(np.int32)
    return replace(dataset, histories=replace(histories, items=items))


def test_a_share_still_trains_its_quantiser_on_the_items_of_the_whole_training_split(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    config = replace(AdaptConfig.of(with_fit()), fit=NOT_TUNED)
    quantizers = {
        adapt(
            shops.dataset(0), "shop", pretrained.backbone.path, ArtifactStore(tmp_path), replace(config, share=share)
        ).manifest.quantizer
        for share in (0.1, 1.0)
    }
    assert len(quantizers) == 1
