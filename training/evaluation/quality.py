"""How good one system is on one split of one shop, in more than one number."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from training.errors import DataError
from training.evaluation.lists import coverage, exposure, gini, similarity_to_last, unit_vectors
from training.evaluation.strict import Strict
from training.histories import Split, Targets
from training.metrics import ranking_metrics
from training.ranking import Items, Scorer, TieOrder, rank_catalogue

COLD_BELOW = 5  # training interactions
LIST_LENGTH = 10

Metric = Literal["recall@10", "ndcg@10", "recall@50", "ndcg@50", "mrr"]
METRICS: tuple[Metric, ...] = ("recall@10", "ndcg@10", "recall@50", "ndcg@50", "mrr")


class UserGroup(Strict):
    """Some of the users: how many there are, and the metrics averaged over them; none where nobody is in the group."""

    users: int = Field(ge=0)
    metrics: dict[Metric, float]

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if set(self.metrics) != (set(METRICS) if self.users else set()):
            raise ValueError(f"{self.users} users cannot have the metrics {sorted(self.metrics)}")
        return self


class ListQuality(Strict):
    """What the first ten items of all users are like.

    Args:
        coverage: the share of the catalogue that stands in anyone's list.
        popularity, target_popularity: mean training interactions of the items shown, and of the items to find.
        exposure_gini: how unequally the catalogue is exposed, from 0 to 1.
        text_similarity, target_text_similarity: mean cosine between the text of a user's last item and those of the
            items shown, and that of the item to find; None where no text vectors were given.
    """

    coverage: float
    popularity: float
    target_popularity: float
    exposure_gini: float
    text_similarity: float | None = None
    target_text_similarity: float | None = None


class Quality(Strict):
    """One system on one split.

    Args:
        everyone: all users.
        warm: those whose target has at least five interactions in training.
        cold: those whose target has fewer, but any.
        never_seen: those whose target has none.
        lists: what they were shown.
    """

    everyone: UserGroup
    warm: UserGroup
    cold: UserGroup
    never_seen: UserGroup
    lists: ListQuality


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What evaluation knows of the items, whatever a system was told.

    Args:
        training_counts: interactions of each item in the training split, int64 [items].
        text_units: text vectors of length one, float32 [items, text_dim], if the lists are to be compared with them.
    """

    training_counts: Items
    text_units: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, split: Split, num_items: int, text_vectors: npt.NDArray[np.float16] | None = None) -> "Catalogue":
        """A catalogue of ``num_items``, with their text vectors float16 [items, text_dim] if there are any."""
        units = None if text_vectors is None else unit_vectors(text_vectors)
        return cls(split.train.item_counts(num_items), units)


def measure(scorer: Scorer, ties: TieOrder, targets: Targets, catalogue: Catalogue) -> Quality:
    """Rank the whole catalogue for every user, items already seen not removed.

    Args:
        scorer: the system.
        ties: by the popularity that the system was told of. One that learned nothing of a shop is told nothing.
        targets: of the split.
        catalogue: what targets and lists are judged by.

    Raises:
        DataError: if there are no users, or the scores cannot be used.
    """
    if len(targets) == 0:
        raise DataError("no user has three interactions: there is nothing to evaluate on")
    ranked = rank_catalogue(scorer, targets, ties, LIST_LENGTH)
    seen = catalogue.training_counts[targets.items]  # [users]
    return Quality(
        everyone=_group(ranked.ranks),
        warm=_group(ranked.ranks[seen >= COLD_BELOW]),
        cold=_group(ranked.ranks[(seen > 0) & (seen < COLD_BELOW)]),
        never_seen=_group(ranked.ranks[seen == 0]),
        lists=_lists(ranked.top, targets, catalogue),
    )


def _group(ranks: Items) -> UserGroup:
    metrics = ranking_metrics(ranks) if len(ranks) else {}
    return UserGroup(users=len(ranks), metrics={name: metrics[name] for name in METRICS if name in metrics})


def _lists(top: Items, targets: Targets, catalogue: Catalogue) -> ListQuality:
    counts, units = catalogue.training_counts, catalogue.text_units
    exposed = exposure(top, len(counts))
    wanted = targets.items.astype(np.int64)[:, None]  # [users, 1]
    return ListQuality(
        coverage=coverage(exposed),
        popularity=float(np.mean(counts[top])),
        target_popularity=float(np.mean(counts[wanted])),
        exposure_gini=gini(exposed),
        text_similarity=None if units is None else similarity_to_last(units, targets, top),
        target_text_similarity=None if units is None else similarity_to_last(units, targets, wanted),
    )
