"""Semi-synthetic negatives: how much of a code they keep, and what they may become."""

import pytest
import torch

from models.codes import CodeLayout
from models.networks.code_embedding import CodeEmbedding
from training.negatives import not_among, redraw_indices

# Two tables with codebooks of different sizes, one after another.
TABLES = CodeEmbedding([CodeLayout(8, 16), CodeLayout(8, 4)], 2)


def codes(count: int, seed: int) -> torch.Tensor:
    """Random codes of both tables as rows, first those of the first: int64 [2 * count, 8]."""
    generator = torch.Generator().manual_seed(seed)
    book = torch.arange(8)
    first = torch.randint(16, (count, 8), generator=generator) + book * 16
    second = torch.randint(4, (count, 8), generator=generator) + book * 4 + 128
    return torch.cat((first, second))


def redrawn(rows: torch.Tensor, share: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return redraw_indices(rows, TABLES.book_starts, TABLES.book_sizes, share, generator)


def test_an_index_stays_within_its_codebook_and_every_one_of_it_can_be_drawn() -> None:
    true = codes(500, seed=0)
    drawn = redrawn(true, share=1.0)
    assert torch.equal(TABLES.book_starts[drawn], TABLES.book_starts[true])
    assert torch.equal(torch.unique(drawn), torch.arange(128 + 32))


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_share_of_indices_that_change_is_the_one_asked_for(share: float) -> None:
    true = codes(2000, seed=0)[:2000]
    changed = (redrawn(true, share) != true).float()
    assert changed.mean().item() == pytest.approx(share * 15 / 16, abs=0.02)  # one draw in sixteen changes nothing
    assert (changed.mean(dim=0) - share * 15 / 16).abs().max() < 0.05


def test_nothing_is_redrawn_at_zero_and_the_generator_decides_the_rest() -> None:
    true = codes(50, seed=0)
    assert torch.equal(redrawn(true, share=0.0), true)
    assert torch.equal(redrawn(true, share=0.5, seed=1), redrawn(true, share=0.5, seed=1))
    assert not torch.equal(redrawn(true, share=0.5, seed=1), redrawn(true, share=0.5, seed=2))


def test_codes_are_told_apart_by_every_index() -> None:
    true = codes(200, seed=0)
    nearly = true.clone()
    nearly[:, 3] = TABLES.book_starts[true[:, 3]] + (true[:, 3] - TABLES.book_starts[true[:, 3]] + 1) % 4
    assert not_among(nearly, true).all()
    assert not not_among(true.flip(0), true).any()
    assert not_among(torch.cat((true[:5], nearly[:5])), true).tolist() == [False] * 5 + [True] * 5
