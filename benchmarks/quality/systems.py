"""What stands in the table of quality: baselines, the item codes, and the item codes with one thing left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.quality.recipes import (
    FromScratch,
    NearestText,
    Popularity,
    ProjectedTexts,
    Recipe,
    SASRec,
    Transferred,
)
from models.codes import CodeLayout
from models.manifest import TransformerArchitecture
from training.adapt_config import AdaptConfig
from training.baselines.item_network import BaselineConfig
from training.config import NetworkConfig, TrainingConfig
from training.loop import FitConfig

SHARES = (0.01, 0.05, 0.2, 1.0)


@dataclass(frozen=True)
class System:
    """A row of the table.

    Args:
        recipe: how it is made.
        seeds: whether chance plays a part.
        shares: of the users that it is trained on; 0 is none.
        ablation: whether it is there to show what one thing is worth.
    """

    name: str
    recipe: Recipe
    seeds: bool = True
    shares: tuple[float, ...] = (1.0,)
    ablation: bool = False


def systems() -> Iterator[System]:
    """In the order of the table."""
    yield System("popularity", Popularity(), seeds=False)
    yield System("nearest text", NearestText(), seeds=False)
    yield System("SASRec, item IDs", SASRec(BaselineConfig(_PLAIN)))
    yield System("projected texts, no codes", ProjectedTexts(BaselineConfig(_PLAIN)))
    yield System("VQ-Rec's recipe, from scratch", FromScratch(_published), shares=SHARES)
    yield System("vqrec, from scratch", FromScratch(TrainingConfig()), shares=(0.0, *SHARES))
    yield System("vqrec, transferred", Transferred(_projected, AdaptConfig()), shares=(0.0, *SHARES))
    shared = Transferred(_shared, AdaptConfig())
    yield System("shared quantiser, transferred", shared, shares=(0.0, *SHARES), ablation=True)
    yield System("permuted table, transferred", Transferred(_permuted, AdaptConfig()), ablation=True)
    unaligned = Transferred(_permuted, AdaptConfig(alignment=None))
    yield System("permuted table, not aligned", unaligned, ablation=True)
    for name, config in _ablations().items():
        yield System(name, FromScratch(config), ablation=True)


def planned(chosen: Sequence[System], shares: Sequence[float], quick: bool) -> Iterator[tuple[System, float]]:
    """Which of the systems are run on which of their shares.

    Args:
        chosen: in order.
        shares: those that are asked for; none for the usual ones.
        quick: whether the usual ones are the largest of each system, and a smaller one of the first that has several,
            so that there is a curve.
    """
    curve = next((system for system in chosen if len(system.shares) > 1), None)
    for system in chosen:
        usual = system.shares
        if quick:
            usual = (min(usual), max(usual)) if system is curve else (max(usual),)
        for share in system.shares:
            if share in (shares or usual):
                yield system, share


_PLAIN = NetworkConfig(TransformerArchitecture())
# Free rows, a random start, and none of what was added: as published but for every position in one pass.
_published = TrainingConfig(tables="permuted", fingerprints=0, network=_PLAIN, fit=FitConfig())
_projected = TrainingConfig(
    tables="projected", fit=FitConfig(max_epochs=6, patience=2, learning_rate=3e-3, network_rate=0.03)
)
# Rows that all shops share are what may learn from them; training the network beside them only cost.
_shared = TrainingConfig(tables="shared", fit=FitConfig(max_epochs=4, patience=1, learning_rate=1e-3, network_rate=0.0))
# As published.
_permuted = replace(_published, redrawn_share=0.75, drawn_negatives=0, fit=FitConfig(max_epochs=6))


def _ablations() -> dict[str, TrainingConfig]:
    return {
        "network trained, too": TrainingConfig(fit=FitConfig(weight_decay=TrainingConfig().fit.weight_decay)),
        "without fingerprint": TrainingConfig(fingerprints=0),
        "tied rows, trained from random": TrainingConfig(
            fingerprints=0, text_start=False, network=_PLAIN, fit=FitConfig()
        ),
        "48 codebooks": TrainingConfig(layout=CodeLayout(48, 256)),
    }
