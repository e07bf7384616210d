"""Runs made up for tests."""

from typing import Any

from training.evaluation.quality import METRICS, ListQuality, Quality, UserGroup
from training.evaluation.runs import Run


def group(users: int, level: float) -> UserGroup:
    """Metrics near ``level``, each another."""
    return UserGroup(users=users, metrics={name: level + place / 100 for place, name in enumerate(METRICS)})


def some_run(level: float = 0.1, *, users: int = 100, never_seen: int = 10, **changes: Any) -> Run:
    """A run whose Recall@10 is ``level``, NDCG@10 ``level`` + 0.01, for cold users half and for the new a quarter."""
    quality = Quality(
        everyone=group(users, level),
        warm=group(users - 30 - never_seen, level),
        cold=group(30, level / 2),
        never_seen=group(never_seen, level / 4) if never_seen else UserGroup(users=0, metrics={}),
        lists=ListQuality(coverage=0.5, popularity=40, target_popularity=25, exposure_gini=level),
    )
    fields: dict[str, Any] = {"system": "codes", "dataset": "shop", "split": "valid", "items": 500, "seed": 0}
    return Run(**{**fields, "quality": quality, **changes})
