"""Evaluating the exported artifact, on models that need no training."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.errors import ArtifactNotFoundError, InvalidArtifactError
from tests.tiny_models import MAX_HISTORY, TinyStore, write_tiny_adapter, write_tiny_store
from training.dataset import Dataset, Items
from training.errors import DataError
from training.evaluate import ServedModel, evaluate
from training.histories import Histories

ITEMS, USERS = 40, 30


def dataset() -> Dataset:
    """Random histories of 3 to 16 items, some longer than the tiny network sees."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, MAX_HISTORY + 7, size=USERS)
    items = Items(tuple(f"i{n:02d}" for n in range(ITEMS)), [f"text of {n * 101}" for n in range(ITEMS)], [{}] * ITEMS)
    histories = Histories(
        tuple(f"u{n:02d}" for n in range(USERS)),
        rng.integers(ITEMS, size=int(lengths.sum())).astype(np.int32),
        np.cumsum([0, *lengths]),
    )
    return Dataset(items, histories)


def naive_test_ranks(data: Dataset, tiny: TinyStore) -> list[int]:
    """One user at a time, by sorting; all codes of the tiny catalogue differ, so scores alone decide."""
    adapter, network, encoder = tiny.load_adapter(), tiny.load_network(), tiny.load_text_encoder()
    codes = adapter.quantizer.encode(encoder.encode(data.texts))
    assert len(np.unique(codes, axis=0)) == ITEMS
    ranks = []
    for history in data.histories:
        (user,) = network.user_vectors([adapter.table.raw(codes[history[:-1]])])
        order = np.argsort(-(adapter.table.normalized(codes) @ user), kind="stable")
        ranks.append(order.tolist().index(int(history[-1])))
    return ranks


def test_the_metrics_are_those_of_ranking_the_whole_catalogue_for_each_user(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path)
    evaluation = evaluate(dataset(), tiny.adapter.path)
    ranks = np.array(naive_test_ranks(dataset(), tiny))
    assert (evaluation.users, evaluation.items) == (USERS, ITEMS)
    assert evaluation.test["recall@10"] == pytest.approx((ranks < 10).mean())
    assert evaluation.test["mrr"] == pytest.approx((1 / (ranks + 1)).mean())
    assert evaluation.valid != evaluation.test


def test_where_histories_are_left_out_what_was_had_is_in_nobodys_way_and_never_found(tmp_path: Path) -> None:
    tiny, data = write_tiny_store(tmp_path), dataset()
    new, full = (evaluate(data, tiny.adapter.path, exclude_history=excluded).test for excluded in (True, False))
    again = np.mean([history[-1] in history[:-1] for history in data.histories])
    assert 0 < again < 1
    assert new["recall@50"] == pytest.approx(1 - again)  # the catalogue has 40 items
    assert full["recall@50"] == 1
    bought_once = replace(data, histories=replace(data.histories, items=first_bought(data.histories)))
    new, full = (evaluate(bought_once, tiny.adapter.path, exclude_history=excluded).test for excluded in (True, False))
    assert new["mrr"] > full["mrr"]


def first_bought(histories: Histories) -> npt.NDArray[np.int32]:
    """As many items a user, none of them twice."""
    counts = np.diff(histories.offsets)
    return np.concatenate([np.random.default_rng(n).permutation(ITEMS)[:n] for n in counts]).astype(np.int32)


def test_equal_scores_are_decided_by_the_adapters_popularity(tmp_path: Path) -> None:
    """With all items of one text, the items not had come first, the popular ones before the others."""
    tiny = write_tiny_store(tmp_path)
    same = replace(dataset(), items=replace(dataset().items, texts=["one text"] * ITEMS))
    ends = same.histories.offsets[1:] - 1
    often = {same.item_ids[item]: 5 for item in set(same.histories.items[ends].tolist())}
    popular = write_tiny_adapter(tiny, seed=0, popularity=often)
    assert evaluate(same, popular.path).test["mrr"] > evaluate(same, tiny.adapter.path).test["mrr"]


def test_the_time_is_that_of_the_clock(tmp_path: Path) -> None:
    ticks = iter([100.0, 103.5])
    assert evaluate(dataset(), write_tiny_store(tmp_path).adapter.path, clock=lambda: next(ticks)).seconds == 3.5


def test_users_too_short_to_evaluate_are_left_out_and_where_all_are_it_is_refused(tmp_path: Path) -> None:
    tiny, data = write_tiny_store(tmp_path), dataset()
    histories = Histories(("a", "b"), data.histories.items[:5], np.array([0, 3, 5]))
    assert evaluate(replace(data, histories=histories), tiny.adapter.path).users == 1
    histories = Histories(("a", "b"), data.histories.items[:4], np.array([0, 2, 4]))
    with pytest.raises(DataError):
        evaluate(replace(data, histories=histories), tiny.adapter.path)


def test_an_adapter_without_its_kin_is_not_found(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "whole")
    shutil.copytree(tiny.adapter.path, tmp_path / "alone")
    with pytest.raises(ArtifactNotFoundError, match="does not lie in an artifact folder"):
        ServedModel.load(tmp_path / "alone")
    for missing in (tiny.backbone, tiny.text_encoder):
        moved = missing.path.rename(tmp_path / "moved")
        with pytest.raises(ArtifactNotFoundError, match=missing.version):
            ServedModel.load(tiny.adapter.path)
        moved.rename(missing.path)
    ServedModel.load(tiny.adapter.path)


def test_a_damaged_backbone_is_refused(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path)
    graph = tiny.backbone.path / "network.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidArtifactError):
        ServedModel.load(tiny.adapter.path)
