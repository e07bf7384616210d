"""The tables in training: tied to their centroids, and folded for export into what serving computes."""

from typing import cast

import numpy as np
import pytest
import torch

from models.codes import CodeLayout, Codes
from models.networks.code_embedding import CodeEmbedding, TiedCodeEmbedding
from models.quantizer import Quantizer
from tests.tiny_models import LAYOUT, TEXT_DIM, WIDTH, tiny_quantizer


def codes_of(seed: int, count: int = 10) -> Codes:
    drawn = np.random.default_rng(seed).integers(LAYOUT.codebook_size, size=(count, LAYOUT.num_codebooks))
    return cast(Codes, drawn.astype(LAYOUT.dtype))


def marked_quantizer(seed: int, fingerprints: int) -> Quantizer:
    """Codes of the usual layout, the last indices of which are fingerprints."""
    plain = tiny_quantizer(seed)
    books = LAYOUT.num_codebooks - fingerprints
    width = books * plain.centroids.shape[2]
    return Quantizer(LAYOUT, np.ascontiguousarray(plain.rotation[:, :width]), plain.centroids[:books])


@pytest.fixture(params=[0, 1, 2], ids=lambda count: f"{count} fingerprints")
def tables(request: pytest.FixtureRequest) -> TiedCodeEmbedding:
    """Two domains, with free rows and marks as training would leave them."""
    torch.manual_seed(0)
    tables = TiedCodeEmbedding([marked_quantizer(seed, request.param) for seed in (0, 1)], WIDTH)
    torch.nn.init.normal_(tables.free)
    torch.nn.init.normal_(tables.marks)
    return tables


@pytest.mark.parametrize("domain", [0, 1])
def test_a_folded_table_gives_the_item_vectors_of_training(tables: TiedCodeEmbedding, domain: int) -> None:
    codes = codes_of(domain)
    with torch.no_grad():
        trained = tables(tables.rows(domain, codes)).numpy()
    np.testing.assert_allclose(tables.fold(domain).raw(codes), trained, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2 * LAYOUT.num_rows - 1, 2 * LAYOUT.num_rows, 500])
def test_few_items_and_many_are_computed_in_different_ways_to_the_same_end(
    tables: TiedCodeEmbedding, count: int
) -> None:
    codes = codes_of(3, count)
    with torch.no_grad():
        vectors = tables(tables.rows(1, codes)).numpy()
    np.testing.assert_allclose(vectors, tables.fold(1).raw(codes), atol=1e-5)


def test_domains_with_one_quantiser_have_one_table() -> None:
    one, other = tiny_quantizer(0), tiny_quantizer(1)
    tables = TiedCodeEmbedding([one, other, tiny_quantizer(0)], WIDTH)
    torch.nn.init.normal_(tables.free)
    assert len(tables.free) == 2 * LAYOUT.num_rows
    assert tables.fold(0).rows.tobytes() == tables.fold(2).rows.tobytes() != tables.fold(1).rows.tobytes()


def test_a_common_table_is_one_for_all_domains_and_free_of_text() -> None:
    tables = CodeEmbedding.common(LAYOUT, 3, WIDTH)
    assert [name for name, _ in tables.named_parameters()] == ["free"]
    assert tables.free.shape == (LAYOUT.num_rows, WIDTH)
    codes = codes_of(0)
    assert all(torch.equal(tables.rows(domain, codes), tables.rows(0, codes)) for domain in range(3))
    assert 0.01 < tables.free.std().item() < 0.03


def test_a_table_that_is_there_is_gone_on_from() -> None:
    start = TiedCodeEmbedding([tiny_quantizer(0)], WIDTH).fold(0)
    tables = CodeEmbedding.of_table(start)
    assert tables.fold(0).rows.tobytes() == start.rows.tobytes()
    with torch.no_grad():
        tables.free.add_(1)
    np.testing.assert_allclose(tables.fold(0).rows, start.rows + 1, atol=1e-6)


def test_a_row_knows_its_codebook_among_tables_of_several_layouts() -> None:
    tables = CodeEmbedding([CodeLayout(2, 4), CodeLayout(2, 2)], WIDTH)
    assert tables.book_starts.tolist() == [0] * 4 + [4] * 4 + [8] * 2 + [10] * 2
    assert tables.book_sizes.tolist() == [4] * 8 + [2] * 4


def test_a_row_is_its_free_part_and_the_projection_of_its_own_centroid_or_a_mark(tables: TiedCodeEmbedding) -> None:
    weight, bias = tables.projection.weight.detach().numpy(), tables.projection.bias.detach().numpy()
    marks = tables.marks.detach().flatten(0, 1).numpy()
    centroids = marked_quantizer(1, len(tables.marks)).centroids_in_text_space()
    expected = tables.free.detach().numpy()[LAYOUT.num_rows :] + centroids @ weight.T + bias
    expected[LAYOUT.num_rows - len(marks) :] += LAYOUT.num_codebooks * marks
    np.testing.assert_allclose(tables.fold(1).rows, expected, atol=1e-5)


def test_there_may_be_more_marks_than_these_tables_use_and_a_larger_shop_uses_them(tables: TiedCodeEmbedding) -> None:
    count, size = len(tables.marks), LAYOUT.codebook_size
    larger = TiedCodeEmbedding([marked_quantizer(0, count)], WIDTH, mark_count=4 * size)
    assert larger.marks.shape == (count, 4 * size, WIDTH)
    torch.nn.init.normal_(larger.marks)
    other = TiedCodeEmbedding([marked_quantizer(1, count)], WIDTH)
    other.freeze_projection(larger.export_projection())
    assert torch.equal(other.marks, larger.marks[:, :size])
    codes = codes_of(0)
    with torch.no_grad():
        np.testing.assert_allclose(larger.fold(0).raw(codes), larger(larger.rows(0, codes)).numpy(), atol=1e-5)


def test_fresh_tables_are_the_base_table_of_their_own_projection() -> None:
    tables = TiedCodeEmbedding([tiny_quantizer(0)], WIDTH)
    base = tables.export_projection().base_table(tiny_quantizer(0))
    np.testing.assert_allclose(tables.fold(0).rows, base.rows, atol=1e-5)


def test_under_a_frozen_projection_the_free_rows_alone_learn(tables: TiedCodeEmbedding) -> None:
    quantizer = marked_quantizer(3, len(tables.marks))
    other = TiedCodeEmbedding([quantizer], WIDTH)
    projection = tables.export_projection()
    other.freeze_projection(projection)
    np.testing.assert_allclose(other.fold(0).rows, projection.base_table(quantizer).rows, atol=1e-5)
    assert [name for name, parameter in other.named_parameters() if parameter.requires_grad] == ["free"]
    assert torch.equal(other.projection.weight, tables.projection.weight)


def test_base_tables_hold_nothing_of_what_rows_have_learned(tables: TiedCodeEmbedding) -> None:
    learned = tables.fold(1)
    quantizer = marked_quantizer(1, len(tables.marks))
    with tables.base_tables():
        base = tables.fold(1)
    expected = tables.export_projection().base_table(quantizer)
    np.testing.assert_allclose(base.rows, expected.rows, atol=1e-5)
    assert tables.fold(1).rows.tobytes() == learned.rows.tobytes()


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
    for quantizers in ([tiny_quantizer(0), other], [marked_quantizer(0, 1), marked_quantizer(1, 2)]):
        with pytest.raises(ValueError, match="equally many codebooks"):
            TiedCodeEmbedding(quantizers, WIDTH)
