"""The tables in training: tied to their centroids, and folded for export into what serving computes."""

from typing import cast

import numpy as np
import pytest
import torch

from models.codes import CodeLayout, Codes
from models.networks.code_embedding import TiedCodeEmbedding
from models.quantizer import Quantizer
from tests.tiny_models import LAYOUT, TEXT_DIM, WIDTH, tiny_quantizer


def codes_of(seed: int, count: int = 10) -> Codes:
    drawn = np.random.default_rng(seed).integers(LAYOUT.codebook_size, size=(count, LAYOUT.num_codebooks))
    return cast(Codes, drawn.astype(LAYOUT.dtype))


@pytest.fixture
def tables() -> TiedCodeEmbedding:
    """Two domains, with free rows as training would leave them."""
    torch.manual_seed(0)
    tables = TiedCodeEmbedding([tiny_quantizer(0), tiny_quantizer(1)], WIDTH)
    torch.nn.init.normal_(tables.free)
    return tables


@pytest.mark.parametrize("domain", [0, 1])
def test_a_folded_table_gives_the_item_vectors_of_training(tables: TiedCodeEmbedding, domain: int) -> None:
    codes = codes_of(domain)
    with torch.no_grad():
        trained = tables(tables.rows(domain, codes)).numpy()
    np.testing.assert_allclose(tables.fold(domain).raw(codes), trained, atol=1e-5)


def test_a_row_is_its_free_part_and_the_projection_of_its_own_centroid(tables: TiedCodeEmbedding) -> None:
    weight, bias = tables.projection.weight.detach().numpy(), tables.projection.bias.detach().numpy()
    centroids = tiny_quantizer(1).centroids_in_text_space()
    expected = tables.free.detach().numpy()[LAYOUT.num_rows :] + centroids @ weight.T + bias
    np.testing.assert_allclose(tables.fold(1).rows, expected, atol=1e-5)


def test_fresh_tables_are_the_base_table_of_their_own_projection() -> None:
    tables = TiedCodeEmbedding([tiny_quantizer(0)], WIDTH)
    base = tables.export_projection().base_table(tiny_quantizer(0))
    np.testing.assert_allclose(tables.fold(0).rows, base.rows, atol=1e-5)


def test_under_a_frozen_projection_the_free_rows_alone_learn(tables: TiedCodeEmbedding) -> None:
    other = TiedCodeEmbedding([tiny_quantizer(3)], WIDTH)
    other.freeze_projection(tables.export_projection())
    assert [name for name, parameter in other.named_parameters() if parameter.requires_grad] == ["free"]
    assert torch.equal(other.projection.weight, tables.projection.weight)


def test_what_was_folded_stays_when_training_goes_on(tables: TiedCodeEmbedding) -> None:
    folded = tables.fold(0)
    before = folded.rows.copy()
    with torch.no_grad():
        tables.free.add_(1)
        tables.projection.weight.add_(1)
    assert folded.rows.tobytes() == before.tobytes()


def test_domains_that_cannot_be_trained_together_are_refused() -> None:
    layout = CodeLayout(2, 8)
    centroids = np.zeros((2, 8, TEXT_DIM // 2), dtype=np.float32)
    other = Quantizer(layout, np.eye(TEXT_DIM, dtype=np.float32), centroids)
    with pytest.raises(ValueError, match="equally many codebooks"):
        TiedCodeEmbedding([tiny_quantizer(0), other], WIDTH)
