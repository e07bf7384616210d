"""Adapting to a shop of which nothing but its catalogue is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.adapter import DomainAdapter
from models.backbone import Projection, read_projection
from models.codes import CodeLayout
from models.errors import ArtifactMismatchError, InvalidArtifactError
from models.store import ArtifactStore
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, with_fit
from training.adapt import adapt
from training.dataset import Items
from training.errors import DataError
from training.evaluate import evaluate
from training.shop import NewQuantizer
from training.starting_point import marked
from training.zero_shot import adapt_zero_shot, train_zero_shot

pytestmark = pytest.mark.training


def test_the_base_table_is_exported_as_it_is(shops: SmallShops, pretrained: Pretrained, tmp_path: Path) -> None:
    items = shops.dataset(1).items
    bundle = adapt_zero_shot(items, "new-shop", pretrained.backbone.path, ArtifactStore(tmp_path), CONFIG)
    adapter = DomainAdapter.load(bundle.path)
    base = read_projection(pretrained.backbone).base_table(adapter.quantizer)
    np.testing.assert_array_equal(adapter.table.rows, base.rows)
    assert (bundle.manifest.domain, bundle.manifest.backbone) == ("new-shop", pretrained.backbone.sha256)
    assert adapter.popularity == {}
    assert bundle.manifest.metrics == {}


def test_it_finds_what_chance_does_not(shops: SmallShops, pretrained: Pretrained, tmp_path: Path) -> None:
    items = shops.dataset(1).items
    bundle = adapt_zero_shot(items, "shop", pretrained.backbone.path, ArtifactStore(tmp_path), CONFIG)
    assert evaluate(shops.dataset(1), bundle.path).valid["recall@10"] > 3 * 10 / len(items)


def test_the_quantiser_learns_from_every_text_and_the_seed(
    shops: SmallShops, pretrained: Pretrained, tmp_path: Path
) -> None:
    items, store = shops.dataset(1).items, ArtifactStore(tmp_path)

    def quantizer(items: Items, seed: int) -> str:
        config = with_fit(seed=seed)
        return adapt_zero_shot(items, "shop", pretrained.backbone.path, store, config).manifest.quantizer

    without_last = Items(items.item_ids[:-1], items.texts[:-1], items.attributes[:-1])
    assert quantizer(items, 0) == quantizer(items, 0)
    assert len({quantizer(items, 0), quantizer(items, 1), quantizer(without_last, 0)}) == 3


def test_codes_that_a_service_holds_can_be_kept(shops: SmallShops, pretrained: Pretrained, tmp_path: Path) -> None:
    items, store = shops.dataset(1).items, ArtifactStore(tmp_path)
    first = adapt_zero_shot(items, "shop", pretrained.backbone.path, store, CONFIG)
    kept = replace(with_fit(seed=5), quantizer_of=first.path)
    second = adapt_zero_shot(items, "shop", pretrained.backbone.path, store, kept)
    assert second.manifest.quantizer == first.manifest.quantizer


def test_a_catalogue_of_one_item_is_refused(pretrained: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two items"):
        adapt_zero_shot(
            Items(("a",), ["tent"], [{}]), "shop", pretrained.backbone.path, ArtifactStore(tmp_path), CONFIG
        )


def test_without_a_backbone_text_alone_finds_what_chance_does_not(shops: SmallShops, tmp_path: Path) -> None:
    dataset, store = shops.dataset(1), shops.new_store(tmp_path)
    shop = train_zero_shot(dataset.items, "new-shop", store, CONFIG)
    assert shop.adapter.manifest.made_with["zero_shot"] is True
    assert evaluate(dataset, shop.adapter.path).valid["recall@10"] > 3 * 10 / len(dataset.items)
    adapter = DomainAdapter.load(shop.adapter.path)
    np.testing.assert_array_equal(adapter.table.rows, read_projection(shop.backbone).base_table(adapter.quantizer).rows)
    assert adapter.popularity == {}


def test_histories_that_come_later_tune_the_table_under_the_same_backbone(shops: SmallShops, tmp_path: Path) -> None:
    dataset, store = shops.dataset(1), shops.new_store(tmp_path)
    before = train_zero_shot(dataset.items, "shop", store, CONFIG)
    after = adapt(dataset, "shop", before.backbone.path, store, with_fit(max_epochs=3))
    assert after.manifest.backbone == before.adapter.manifest.backbone
    scores = [evaluate(dataset, adapter.path).valid["ndcg@10"] for adapter in (before.adapter, after)]
    assert scores[1] > scores[0]


def first_items(items: Items, count: int) -> Items:
    return Items(items.item_ids[:count], items.texts[:count], items.attributes[:count])


def test_a_shop_that_has_grown_is_adapted_under_the_backbone_that_it_had_when_it_was_small(
    shops: SmallShops, tmp_path: Path
) -> None:
    items, store = shops.dataset(1).items, shops.new_store(tmp_path)
    small = train_zero_shot(first_items(items, 20), "shop", store, CONFIG)
    grown = adapt_zero_shot(items, "shop", small.backbone.path, store, CONFIG)
    sizes = [DomainAdapter.load(adapter.path).table.layout.codebook_size for adapter in (small.adapter, grown)]
    assert sizes[0] < sizes[1] == CONFIG.layout.codebook_size


def test_more_centroids_than_the_backbone_has_marks_for_are_not_trained(
    shops: SmallShops, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items, store = shops.dataset(1).items, shops.new_store(tmp_path)
    small = train_zero_shot(items, "shop", store, replace(CONFIG, layout=CodeLayout(8, 8)))
    adapter = DomainAdapter.load(adapt_zero_shot(items, "shop", small.backbone.path, store, CONFIG).path)
    assert adapter.table.layout == CodeLayout(8, 8)
    assert "marks for 8 centroids a codebook: using 8 x 8" in capsys.readouterr().err


def test_other_codes_than_the_backbones_hold_marks_of_the_same_length(shops: SmallShops, tmp_path: Path) -> None:
    items, store = shops.dataset(1).items, shops.new_store(tmp_path)
    architecture = CONFIG.network.architecture.model_copy(update={"output_map": True})
    config = replace(CONFIG, network=replace(CONFIG.network, architecture=architecture))
    small = train_zero_shot(items, "shop", store, config)
    finer = adapt_zero_shot(items, "shop", small.backbone.path, store, replace(config, layout=CodeLayout(16, 32)))
    marked = slice(-CONFIG.network.width // 4, None)  # of the columns
    lengths = []
    for path in (small.adapter.path, finer.path):
        adapter = DomainAdapter.load(path)
        codes = adapter.quantizer.encode(np.random.default_rng(0).standard_normal((50, 48)).astype(np.float16))
        lengths.append(np.linalg.norm(adapter.table.raw(codes)[:, marked], axis=1).mean())
    assert lengths[0] > 0
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_catalogue_of_one_text_gets_a_table(shops: SmallShops, tmp_path: Path, count: int) -> None:
    store = shops.new_store(tmp_path)
    one_text = Items(tuple("abcdef"[:count]), ["tent"] * count, [{}] * count)
    shop = train_zero_shot(one_text, "shop", store, CONFIG)
    assert np.abs(DomainAdapter.load(shop.adapter.path).table.rows).max() < 10


def test_codes_that_leave_no_codebook_for_texts_are_refused(shops: SmallShops, tmp_path: Path) -> None:
    items, store = shops.dataset(1).items, shops.new_store(tmp_path)
    backbone = train_zero_shot(items, "shop", store, CONFIG).backbone
    with pytest.raises(ArtifactMismatchError, match="no codebook for texts"):
        adapt_zero_shot(items, "shop", backbone.path, store, replace(CONFIG, layout=CodeLayout(1, 32)))


@pytest.mark.parametrize(("marks", "size"), [(1, None), (3, 2), (31, 16)])
def test_marks_of_an_odd_number_are_used_as_far_as_a_codebook_can_be_trained(marks: int, size: int | None) -> None:
    zeros = np.zeros((48, 48), dtype=np.float32)
    projection = Projection(zeros, zeros[0], np.zeros((1, marks, 48), dtype=np.float32))
    wished = NewQuantizer(CodeLayout(8, 32), seed=0)
    if size is None:
        with pytest.raises(InvalidArtifactError, match="two are the least"):
            marked(wished, projection)
    else:
        assert marked(wished, projection) == NewQuantizer(CodeLayout(8, size), seed=0, fingerprints=1)
