"""The user network: item vectors of a history ─► one user vector a position.

Source: VQ-Rec (arXiv 2210.12316, section 3.2), which takes SASRec's causal Transformer (arXiv 1808.09781) in its
post-norm form. It never sees an item, only vectors; that is why one network serves every shop.
"""

import math

import torch
from torch import nn

from models.manifest import TransformerArchitecture


class UserTransformer(nn.Module):
    """A causal Transformer over item vectors.

    Histories are padded at their end. A position attends to itself and what came before it, so padding is never seen
    by a position that counts, and no padding mask is needed.
    """

    def __init__(self, architecture: TransformerArchitecture, width: int, max_history: int) -> None:
        super().__init__()
        self.max_history = max_history
        self.positions = nn.Embedding(max_history, width)
        self.input_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(architecture.dropout)
        self.layers = nn.ModuleList(_Layer(architecture, width) for _ in range(architecture.layers))
        self.apply(_initialise)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Item vectors [batch, time, width] ─► a user vector after every position [batch, time, width]."""
        time = vectors.shape[1]
        positions = self.positions.weight[:time]  # [time, width]
        hidden: torch.Tensor = self.dropout(self.input_norm(vectors + positions))
        future = torch.ones(time, time, dtype=torch.bool, device=vectors.device).triu(1)  # [time, time]
        for layer in self.layers:
            hidden = layer(hidden, future)
        return hidden


class LastUserVector(nn.Module):
    """What is exported: the user vector after the last item of each history."""

    def __init__(self, network: UserTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Vectors [batch, time, width], lengths int64 [batch] in 1..time ─► [batch, width]."""
        hidden: torch.Tensor = self.network(vectors)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[2])  # [batch, 1, width]
        return hidden.gather(1, last).squeeze(1)


class _Layer(nn.Module):
    def __init__(self, architecture: TransformerArchitecture, width: int) -> None:
        super().__init__()
        self.attention = _Attention(width, architecture.heads, architecture.dropout)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.widen = nn.Linear(width, architecture.inner)
        self.narrow = nn.Linear(architecture.inner, width)
        self.feed_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(architecture.dropout)

    def forward(self, hidden: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, future)))
        fed = self.narrow(nn.functional.gelu(self.widen(hidden)))
        normed: torch.Tensor = self.feed_norm(hidden + self.dropout(fed))
        return normed


class _Attention(nn.Module):
    # Written out rather than nn.MultiheadAttention, whose fast path exports to another graph than it trains.
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"the width {width} must be a multiple of the {heads} heads")
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
        batch, time, width = hidden.shape
        split = self.project(hidden).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each [batch, heads, time, head_width]
        logits = query @ key.transpose(2, 3) / math.sqrt(width // self.heads)  # [batch, heads, time, time]
        weights = self.dropout(logits.masked_fill(future, -1e9).softmax(dim=-1))
        mixed = (weights @ value).transpose(1, 2).reshape(batch, time, width)
        attended: torch.Tensor = self.output(mixed)
        return attended


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
