"""The network and the tables of the shops that it is trained on, and the losses over both."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.networks.code_embedding import CodeEmbedding, TiedCodeEmbedding
from models.networks.transformer import UserTransformer
from models.quantizer import Quantizer
from training.batches import Batch
from training.config import TrainingConfig
from training.histories import Targets
from training.metrics import Ranker, ranking_metrics
from training.negatives import not_among, redraw_indices
from training.shop import Shop
from training.text_start import start_from_text

_USERS_PER_BLOCK = 512


class NextItemModel(nn.Module):
    """Predicts, after every position of a history, what comes next.

    Items of several shops share one numbering: a shop's items follow those of the shops before it.

    Args:
        network: item vectors ─► user vectors.
        tables: codes ─► item vectors, a domain a shop.
        shops: in the order of the tables.
        temperature: what cosines are divided by to make logits.
    """

    rows: torch.Tensor
    first_of_code: torch.Tensor
    trained_items: torch.Tensor
    place_of_item: torch.Tensor

    def __init__(
        self, network: UserTransformer, tables: CodeEmbedding, shops: Sequence[Shop], temperature: float
    ) -> None:
        super().__init__()
        self.network = network
        self.tables = tables
        self.shops = list(shops)
        self.temperature = temperature
        self.first_items = np.cumsum([0] + [len(shop.codes) for shop in shops])
        rows = torch.cat([tables.rows(domain, shop.codes) for domain, shop in enumerate(shops)])
        trained = np.concatenate(
            [shop.trained_items + first for shop, first in zip(shops, self.first_items, strict=False)]
        )
        place = np.full(len(rows), -1, dtype=np.int64)
        place[trained] = np.arange(len(trained))
        _, first, code = np.unique(rows.numpy(), axis=0, return_index=True, return_inverse=True)
        first_of_code = torch.from_numpy(first[code.reshape(-1)].astype(np.int64))
        self.register_buffer("rows", rows, persistent=False)  # [items, D]
        self.register_buffer("first_of_code", first_of_code, persistent=False)  # [items], the first with the same code
        self.register_buffer("trained_items", torch.from_numpy(trained), persistent=False)
        self.register_buffer("place_of_item", torch.from_numpy(place), persistent=False)  # [items]

    @property
    def shared(self) -> list[nn.Parameter]:
        """All that other shops use as well: everything but the rows of tables."""
        return [parameter for parameter in self.parameters() if parameter is not self.tables.free]

    @property
    def fading(self) -> list[nn.Parameter]:
        """The rows, where they are what has been learned beyond the texts that tables start from."""
        return [self.tables.free] if isinstance(self.tables, TiedCodeEmbedding) else []

    def users(self, vectors: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """User vectors of length one [positions, width] of every position that counts.

        Args:
            vectors: item vectors [batch, time, width].
            counts: bool [batch, time].
        """
        return nn.functional.normalize(self.network(vectors)[counts].float(), dim=-1)

    def full_softmax(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy over every item that occurs in training; a scalar."""
        vectors = self.tables(self.rows)  # [items, width]
        users = self.users(nn.functional.embedding(batch.items, vectors), batch.counts)
        candidates = nn.functional.embedding(self.trained_items, vectors)
        return nn.functional.cross_entropy(self._logits(users, candidates), self.place_of_item[batch.targets])

    def in_batch_contrastive(
        self, batch: Batch, whole: Batch | None = None, redrawn_share: float = 0.0, drawn: int = 0
    ) -> torch.Tensor:
        """Cross-entropy over the targets of a batch, which come from all shops, items drawn, and codes made; a scalar.

        Targets with the same code are one candidate, so that no positive is its own negative (VQ-Rec, section 3.3).

        Args:
            batch: the positions to predict at.
            whole: the batch that ``batch`` is a part of, whose targets are the candidates; by default ``batch``. The
                losses of all parts sum up to the loss of the whole.
            redrawn_share: where above 0, the target codes with this share of their indices redrawn are negatives, too.
            drawn: how many items of any shop are negatives, too, each as likely. Targets are as likely as they are
                popular, and with them alone what is popular would learn to keep away.
        """
        whole = batch if whole is None else whole
        targets = torch.unique(self.first_of_code[torch.cat((whole.targets, self._drawn(drawn, whole.seed)))])
        inputs = self.first_of_code[batch.items]  # [batch, time]
        items, place = torch.unique(torch.cat((targets, inputs.flatten())), return_inverse=True)
        codes = self.rows[items]
        if redrawn_share:
            codes = torch.cat((codes, self._synthetic(targets, redrawn_share, whole.seed)))
        vectors = self.tables(codes)  # [items of the batch and synthetic codes, width], in one look-up
        users = self.users(nn.functional.embedding(place[len(targets) :].view(inputs.shape), vectors), batch.counts)
        candidates = torch.cat((nn.functional.embedding(place[: len(targets)], vectors), vectors[len(items) :]))
        positive = torch.searchsorted(targets, self.first_of_code[batch.targets])
        logits = self._logits(users, candidates)  # [positions, targets and synthetic codes]
        return nn.functional.cross_entropy(logits, positive, reduction="sum") / len(whole.targets)

    def _drawn(self, count: int, seed: int) -> torch.Tensor:
        """Items that occur in training: int64 [count]."""
        generator = torch.Generator().manual_seed(seed)
        return self.trained_items[torch.randint(len(self.trained_items), (count,), generator=generator)]

    def _synthetic(self, targets: torch.Tensor, share: float, seed: int) -> torch.Tensor:
        """A code for each target, as table rows [at most targets, D], without those that are a target's own."""
        generator = torch.Generator().manual_seed(seed)
        true = self.rows[targets]
        redrawn = redraw_indices(true, self.tables.book_starts, self.tables.book_sizes, share, generator)
        return redrawn[not_among(redrawn, true)]

    def _logits(self, users: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Cosines by the temperature [positions, candidates], float32 throughout: bfloat16 is too coarse for them."""
        with torch.autocast(users.device.type, enabled=False):
            return users @ nn.functional.normalize(candidates.float(), dim=-1).T / self.temperature

    def evaluate(self, domain: int, targets: Targets) -> dict[str, float]:
        """Ranking metrics of one shop over its whole catalogue."""
        shop, table = self.shops[domain], self.tables.fold(domain)
        users = self._users_of(targets, torch.from_numpy(table.raw(shop.codes)))
        return ranking_metrics(Ranker.over(shop.codes, table, shop.training_counts).ranks(users, targets))

    def _users_of(self, targets: Targets, vectors: torch.Tensor) -> npt.NDArray[np.float32]:
        """User vectors [users, width] after each history, given item vectors [items, width]."""
        users = np.empty((len(targets), vectors.shape[1]), dtype=np.float32)
        # Those of like length together: most histories are short, and a block is padded to its longest.
        order = np.argsort(targets.histories.lengths, kind="stable")
        for start in range(0, len(order), _USERS_PER_BLOCK):
            block = order[start : start + _USERS_PER_BLOCK]
            recent = [targets.histories[user][-self.network.max_history :] for user in block]
            users[block] = self._last_users(vectors, recent)
        return users

    def _last_users(self, vectors: torch.Tensor, histories: list[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        items = torch.zeros(len(histories), max(len(history) for history in histories), dtype=torch.int64)
        last = torch.zeros_like(items, dtype=torch.bool)
        for row, history in enumerate(histories):
            items[row, : len(history)] = torch.from_numpy(history)
            last[row, len(history) - 1] = True
        with torch.no_grad():
            users = self.users(vectors[items].to(self.rows.device), last.to(self.rows.device))  # [block, width]
        return np.asarray(users.cpu().numpy())


def new_model(shops: Sequence[Shop], config: TrainingConfig) -> NextItemModel:
    """A fresh network and fresh tables of the wanted kind for these shops; the seed decides their weights."""
    quantizers = [shop.quantizer for shop in shops]
    if config.tables == "permuted":
        torch.manual_seed(config.fit.seed)
        common = CodeEmbedding.common(quantizers[0].layout, len(shops), config.network.width)
        return NextItemModel(_network(config), common, shops, config.network.temperature)
    network, tables = new_network(quantizers, config)
    return NextItemModel(network, tables, shops, config.network.temperature)


def new_network(quantizers: Sequence[Quantizer], config: TrainingConfig) -> tuple[UserTransformer, TiedCodeEmbedding]:
    """A fresh network and tied tables for domains with these quantisers; the same quantiser has the same table."""
    torch.manual_seed(config.fit.seed)
    network = _network(config)
    # As many marks as are wished for, however few this shop can fill: under this backbone a larger one may come.
    tables = TiedCodeEmbedding(quantizers, config.network.width, config.layout.codebook_size)
    if config.text_start:
        start_from_text(network, tables, quantizers, config.fit.seed)
    return network, tables


def _network(config: TrainingConfig) -> UserTransformer:
    sizes = config.network
    return UserTransformer(sizes.architecture, sizes.width, sizes.max_history)
