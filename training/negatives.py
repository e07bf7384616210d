"""Semi-synthetic negatives: codes near to true ones, that no item has.

Source: VQ-Rec (arXiv 2210.12316, section 3.3). In one step of training few codes of a large space are met; negatives
that differ from a true code in some indices alone make every row of the table take part.
"""

import torch


def redraw_indices(
    rows: torch.Tensor, starts: torch.Tensor, sizes: torch.Tensor, share: float, generator: torch.Generator
) -> torch.Tensor:
    """Codes in which each index is, with probability ``share``, a random one of the same codebook.

    Args:
        rows: codes as table rows int64 [n, D].
        starts, sizes: int64 [rows], the first row and the number of rows of the codebook that a row belongs to.
        share: ρ, 0 to 1.
        generator: on the CPU, so that every device and process draws the same.

    Returns:
        int64 [n, D].
    """
    chance = torch.rand(2, *rows.shape, generator=generator).to(rows.device)
    drawn = starts[rows] + (chance[1] * sizes[rows]).long()
    return torch.where(chance[0] < share, drawn, rows)


def not_among(candidates: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Which candidates int64 [n, D] are none of the codes int64 [m, D]: bool [n].

    Codes are compared by a 64-bit hash: of 2^32 different pairs about one in four thousand million is taken for equal,
    which costs a negative and nothing else.
    """
    return ~torch.isin(_hash(candidates), _hash(codes))


def _hash(rows: torch.Tensor) -> torch.Tensor:
    """int64 [n]; products and sums wrap around."""
    generator = torch.Generator().manual_seed(0)
    odd = torch.randint(-(1 << 62), 1 << 62, (rows.shape[1],), generator=generator) * 2 + 1
    return (rows * odd.to(rows.device)).sum(dim=1)
