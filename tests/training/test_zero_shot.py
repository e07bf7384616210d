"""Adapting to a shop of which nothing but its catalogue is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.adapter import DomainAdapter
from models.backbone import read_projection
from models.store import ArtifactStore
from tests.training.small_shop import CONFIG, Pretrained, SmallShops, with_fit
from training.adapt import adapt
from training.dataset import Items
from training.errors import DataError
from training.evaluate import evaluate
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
