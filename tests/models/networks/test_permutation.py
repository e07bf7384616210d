"""The learned permutation of each codebook's rows."""

import numpy as np
import pytest
import torch

from models.codes import CodeLayout
from models.networks.permutation import PermutedCodeEmbedding, permuted, sinkhorn
from models.table import CodeTable

LAYOUT = CodeLayout(3, 8)
WIDTH = 16


@pytest.fixture
def base() -> CodeTable:
    rows = np.random.default_rng(0).standard_normal((LAYOUT.num_rows, WIDTH)).astype(np.float32)
    return CodeTable(LAYOUT, rows)


def test_rows_and_columns_come_to_sum_to_one() -> None:
    logits = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0)) * 3
    probabilities = sinkhorn(logits, rounds=200).exp()
    np.testing.assert_allclose(probabilities.sum(2), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-3)


def test_with_fewer_rows_than_columns_a_column_sums_to_one_at_most() -> None:
    logits = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0)) * 3
    probabilities = sinkhorn(logits, rounds=200).exp()
    np.testing.assert_allclose(probabilities.sum(2), 1, atol=1e-5)
    assert probabilities.sum(1).max() < 1 + 1e-3
    assert probabilities.sum(1).max() - probabilities.sum(1).min() > 0.5


def test_logits_far_apart_neither_overflow_nor_vanish() -> None:
    logits = 1e4 * torch.eye(5)[None, torch.tensor([2, 0, 1, 4, 3])]
    probabilities = sinkhorn(logits, rounds=5).exp()
    np.testing.assert_allclose(probabilities[0], torch.eye(5)[torch.tensor([2, 0, 1, 4, 3])], atol=1e-6)


def test_at_first_every_row_is_the_mean_of_its_codebook(base: CodeTable) -> None:
    table = PermutedCodeEmbedding(base, LAYOUT).table().detach().view(3, 8, WIDTH)
    means = base.rows.reshape(3, 8, WIDTH).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(table, np.repeat(means, 8, axis=1), atol=1e-5)


@pytest.mark.parametrize("size", [8, 4], ids=["as many rows", "fewer rows"])
def test_a_gradient_leads_to_the_permutation_that_made_a_table(base: CodeTable, size: int) -> None:
    rng = np.random.default_rng(1)
    wanted = np.stack([rng.permutation(8)[:size] for _ in range(3)])
    target = torch.from_numpy(permuted(base.rows.reshape(3, 8, WIDTH), wanted).rows)
    tables = PermutedCodeEmbedding(base, CodeLayout(3, size))
    trained = [parameter for parameter in tables.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        (tables.table() - target).square().mean().backward()
        optimizer.step()
    np.testing.assert_array_equal(tables.permutations(), wanted)
    np.testing.assert_array_equal(tables.fold(0).rows, target)


def test_folding_reorders_rows_within_their_codebook_and_changes_none(base: CodeTable) -> None:
    tables = PermutedCodeEmbedding(base, LAYOUT)
    torch.nn.init.normal_(tables.logits, generator=torch.Generator().manual_seed(0))
    order = tables.permutations()
    assert (order != np.arange(8)).any()
    folded = tables.fold(0).rows.reshape(3, 8, WIDTH)
    for book in range(3):
        assert sorted(order[book]) == list(range(8))
        np.testing.assert_array_equal(folded[book], base.rows.reshape(3, 8, WIDTH)[book, order[book]])


def test_only_the_order_is_learned(base: CodeTable) -> None:
    tables = PermutedCodeEmbedding(base, LAYOUT)
    learned = {name for name, parameter in tables.named_parameters() if parameter.requires_grad}
    assert learned == {"logits"}
    codes = np.zeros((2, 3), dtype=np.uint8)
    tables(tables.rows(0, codes)).sum().backward()
    assert tables.logits.grad is not None
    assert tables.logits.grad.abs().max() > 0


@pytest.mark.parametrize("layout", [CodeLayout(2, 8), CodeLayout(3, 16)])
def test_codes_that_the_table_has_no_rows_for_are_refused(base: CodeTable, layout: CodeLayout) -> None:
    with pytest.raises(ValueError, match="cannot be aligned"):
        PermutedCodeEmbedding(base, layout)
    with pytest.raises(IndexError, match="no domain 1"):
        PermutedCodeEmbedding(base, LAYOUT).fold(1)
