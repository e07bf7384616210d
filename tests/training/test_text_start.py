"""The start of training: what is like the history in text comes first, and what is in it is pushed away."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.codes import CodeLayout
from models.manifest import TransformerArchitecture
from models.networks.code_embedding import TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer
from training.quantize import train_quantizer
from training.text_start import start_from_text

TEXT_DIM, WIDTH, GROUPS, OF_GROUP = 32, 48, 12, 40


def grouped_texts() -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    """Items of a dozen kinds, those of one kind alike, around a mean that all share: [items, text_dim]."""
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((GROUPS, 1, TEXT_DIM)) + 3
    items: np.ndarray[tuple[int, int], np.dtype[np.float16]] = (
        (kinds + 0.5 * rng.standard_normal((GROUPS, OF_GROUP, TEXT_DIM))).reshape(-1, TEXT_DIM).astype(np.float16)
    )
    return items


def started(fingerprints: int) -> tuple[UserTransformer, torch.Tensor]:
    """An untrained network, and the normalised vectors of the items [items, width]."""
    texts = grouped_texts()
    quantizer = train_quantizer(texts, CodeLayout(16, 16), 0, fingerprints)
    torch.manual_seed(0)
    architecture = TransformerArchitecture(layers=2, heads=2, inner=32, output_map=True)
    network = UserTransformer(architecture, WIDTH, 8).eval()
    tables = TiedCodeEmbedding([quantizer], WIDTH)
    start_from_text(network, tables, [quantizer], seed=0)
    with torch.no_grad():
        return network, tables(tables.rows(0, quantizer.encode(texts)))


@pytest.mark.parametrize("fingerprints", [0, 1])
def test_an_untrained_network_recommends_the_kind_of_the_history(fingerprints: int) -> None:
    network, items = started(fingerprints)
    histories = torch.arange(GROUPS)[:, None] * OF_GROUP + torch.tensor([3, 9, 27])  # three items of each kind
    with torch.no_grad():
        users = torch.nn.functional.normalize(network(items[histories])[:, -1], dim=-1)
    best = (users @ torch.nn.functional.normalize(items, dim=-1).T).topk(10).indices  # [kinds, 10]
    assert (best // OF_GROUP == torch.arange(GROUPS)[:, None]).float().mean() > 0.9


def test_marks_push_away_what_the_history_has() -> None:
    """By how much an item's score for whoever has it alone exceeds that of the next best."""
    leads = []
    for fingerprints in (0, 1):
        network, items = started(fingerprints)
        with torch.no_grad():
            users = torch.nn.functional.normalize(network(items[:, None])[:, 0], dim=-1)  # one item each
        scores = users @ torch.nn.functional.normalize(items, dim=-1).T
        own = scores.diagonal().clone()
        leads.append((own - scores.fill_diagonal_(-1).amax(dim=1)).mean().item())
    without, marked = leads
    assert marked < without / 2


@pytest.mark.parametrize("fingerprints", [1, 2])
def test_two_marks_of_a_fingerprint_are_the_same_or_have_nothing_in_common(fingerprints: int) -> None:
    quantizer = train_quantizer(grouped_texts(), CodeLayout(16, 16), 0, fingerprints)
    tables = TiedCodeEmbedding([quantizer], WIDTH)
    architecture = TransformerArchitecture(layers=1, heads=2, inner=8, output_map=True)
    start_from_text(UserTransformer(architecture, WIDTH, 8), tables, [quantizer], seed=0)
    for marks in torch.nn.functional.normalize(tables.marks.detach(), dim=-1):  # [size, width]
        likeness = marks @ marks.T
        assert torch.allclose(likeness, likeness.round(), atol=1e-6)
        assert len(torch.unique(marks, dim=0)) == WIDTH // 4 // fingerprints


def test_the_same_seed_gives_the_same_start_whatever_was_drawn_before() -> None:
    one, other = started(1), started(1)
    assert torch.equal(one[1], other[1])
    assert torch.equal(one[0].positions.weight, other[0].positions.weight)


def test_several_shops_are_whitened_together_and_unequal_codebooks_do_no_harm() -> None:
    texts = grouped_texts()
    quantizers = [train_quantizer(texts[:200], CodeLayout(8, 16), 0), train_quantizer(texts[200:], CodeLayout(8, 8), 1)]
    tables = TiedCodeEmbedding(quantizers, WIDTH)
    network = UserTransformer(TransformerArchitecture(layers=1, heads=2, inner=8), WIDTH, 8)
    start_from_text(network, tables, quantizers, seed=0)
    spread = tables.table()[: 8 * 16].detach().std()
    assert torch.isfinite(tables.table()).all()
    assert 0.01 < spread.item() < 10
    assert not tables.marks.any()


@pytest.mark.parametrize("text", [0.0, 0.3])
@pytest.mark.parametrize("fingerprints", [0, 1])
def test_where_all_texts_are_one_nothing_of_rounding_is_blown_up(text: float, fingerprints: int) -> None:
    texts = np.full((6, TEXT_DIM), text, dtype=np.float16)
    quantizer = train_quantizer(texts, CodeLayout(8, 2), 0, fingerprints)
    tables = TiedCodeEmbedding([quantizer], WIDTH)
    architecture = TransformerArchitecture(layers=1, heads=2, inner=8, output_map=True)
    start_from_text(UserTransformer(architecture, WIDTH, 8), tables, [quantizer], seed=0)
    with torch.no_grad():
        items = tables(tables.rows(0, quantizer.encode(texts)))
    assert items.abs().max() < 1
    assert torch.equal(items, items[:1].expand_as(items))


def test_a_width_beyond_the_text_is_filled_with_what_training_may_find() -> None:
    quantizer = train_quantizer(grouped_texts(), CodeLayout(8, 16), 0)
    narrow = Quantizer(quantizer.layout, quantizer.rotation, quantizer.centroids)
    tables = TiedCodeEmbedding([replace(narrow)], 100)
    start_from_text(
        UserTransformer(TransformerArchitecture(layers=1, heads=2, inner=8), 100, 8), tables, [quantizer], seed=0
    )
    assert torch.isfinite(tables.projection.weight).all()
