"""The user network: item vectors of a history ─► one user vector a position.

Source: VQ-Rec (arXiv 2210.12316, section 3.2), which takes SASRec's causal Transformer (arXiv 1808.09781) in its
post-norm form. It never sees an item, only vectors; that is why one network serves every shop.
"""

import math
from typing import cast

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
        self.output_map = nn.Linear(width, width, bias=False) if architecture.output_map else nn.Identity()
        self.apply(_initialise)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Item vectors [batch, time, width] ─► a user vector after every position [batch, time, width]."""
        hidden, future = self._embed(vectors), _future(vectors)
        for layer in self.layers:
            hidden = layer(hidden, future)
        return cast(torch.Tensor, self.output_map(hidden))

    def last(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The user vector after the last item of each history alone, without computing the others in the last layer.

        Args:
            vectors: [batch, time, width].
            lengths: int64 [batch] in 1..time.

        Returns:
            [batch, width]: what ``forward`` gives at position ``lengths - 1``, but for rounding.
        """
        hidden, future = self._embed(vectors), _future(vectors)
        for layer in self.layers[:-1]:
            hidden = layer(hidden, future)
        return cast(torch.Tensor, self.output_map(cast(_Layer, self.layers[-1]).last(hidden, lengths)))

    def hand_on(self, share: float) -> None:
        """Let the attention of every layer, as it is before training, add ``share`` of the mean of what came before."""
        with torch.no_grad():
            for layer in self.layers:
                cast(_Layer, layer).attention.hand_on(share)

    def _embed(self, vectors: torch.Tensor) -> torch.Tensor:
        positions = self.positions.weight[: vectors.shape[1]]  # [time, width]
        embedded: torch.Tensor = self.dropout(self.input_norm(vectors + positions))
        return embedded


class LastUserVector(nn.Module):
    """What is exported: the user vector after the last item of each history."""

    def __init__(self, network: UserTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Vectors [batch, time, width], lengths int64 [batch] in 1..time ─► [batch, width]."""
        return self.network.last(vectors, lengths)


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
        # As [batch * time, width], since ONNX Runtime adds the bias within the product only where that has two axes.
        flat = hidden.flatten(0, 1)
        attended = self.attention(hidden, future).flatten(0, 1)
        return self._feed(self.attention_norm(flat + self.dropout(attended))).view(hidden.shape)

    def last(self, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The output at position ``lengths - 1`` alone: [batch, time, width] ─► [batch, width]."""
        place = (lengths - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[2])  # [batch, 1, width]
        at = hidden.gather(1, place).squeeze(1)  # [batch, width]
        return self._feed(self.attention_norm(at + self.dropout(self.attention.last(at, hidden, lengths))))

    def _feed(self, hidden: torch.Tensor) -> torch.Tensor:
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

    def hand_on(self, share: float) -> None:
        width = self.output.out_features
        self.project.weight[2 * width :] += torch.eye(width)
        self.output.weight += share * torch.eye(width)

    def forward(self, hidden: torch.Tensor, future: torch.Tensor) -> torch.Tensor:
        batch, time, width = hidden.shape
        split = self.project(hidden.flatten(0, 1)).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each [batch, heads, time, head_width]
        logits = query @ key.transpose(2, 3) / math.sqrt(width // self.heads)  # [batch, heads, time, time]
        weights = self.dropout(logits.masked_fill(future, -1e9).softmax(dim=-1))
        mixed = (weights @ value).transpose(1, 2).reshape(batch * time, width)
        attended: torch.Tensor = self.output(mixed).view(batch, time, width)
        return attended

    def last(self, at: torch.Tensor, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The same for one query of each history, ``at`` [batch, width].

        With one query q, ``q · (K h)`` is ``(Kᵀ q) · h`` and ``Σ a (V h)`` is ``V (Σ a h)``: keys and values need not
        be projected. The bias of the keys adds the same to every logit, which the softmax takes away again.
        """
        batch, time, width = hidden.shape
        size = width // self.heads
        query_weight, key_weight, value_weight = self.project.weight.view(3, self.heads, size, width).unbind(0)
        query_bias, _, value_bias = self.project.bias.view(3, self.heads, size).unbind(0)
        after = torch.arange(time, device=hidden.device) >= lengths.view(batch, 1)  # [batch, time]
        mixed = []
        for head in range(self.heads):  # each a plain product, whose weights ONNX Runtime packs once
            query = nn.functional.linear(at, query_weight[head], query_bias[head])  # [batch, head_width]
            looked_for = nn.functional.linear(query, key_weight[head].T).view(batch, 1, width)
            logits = (looked_for @ hidden.transpose(1, 2)).view(batch, time) / math.sqrt(size)
            weights = self.dropout(logits.masked_fill(after, -1e9).softmax(dim=-1)).view(batch, 1, time)
            found = (weights @ hidden).view(batch, width)
            mixed.append(nn.functional.linear(found, value_weight[head], value_bias[head]))
        attended: torch.Tensor = self.output(torch.cat(mixed, dim=1))
        return attended


def _future(vectors: torch.Tensor) -> torch.Tensor:
    """What a position may not see: bool [time, time]."""
    time = vectors.shape[1]
    return torch.ones(time, time, dtype=torch.bool, device=vectors.device).triu(1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
