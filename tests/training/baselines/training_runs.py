"""How the baselines are trained in tests, and how they are judged."""

from dataclasses import replace

from tests.training import small_shop
from training.baselines.item_network import BaselineConfig
from training.baselines.popularity import PopularityScorer
from training.histories import Targets
from training.metrics import ranking_metrics
from training.ranking import Scorer, TieOrder, target_ranks

CONFIG = BaselineConfig(small_shop.CONFIG.network, fit=small_shop.CONFIG.fit)


def with_fit(**changes: object) -> BaselineConfig:
    """The small configuration with another way to fit."""
    return replace(CONFIG, fit=replace(CONFIG.fit, **changes))  # type: ignore[arg-type]  # by name


def ndcg(scorer: Scorer, targets: Targets, popularity: PopularityScorer) -> float:
    ties = TieOrder.by_popularity(popularity.counts.astype(int))
    return ranking_metrics(target_ranks(scorer, targets, ties))["ndcg@10"]
