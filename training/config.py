"""What a training run is told; the defaults are what the documented figures were reached with."""

from dataclasses import dataclass, field
from pathlib import Path

from models.codes import CodeLayout
from models.manifest import TableKind, TransformerArchitecture
from training.batches import BatchLimits
from training.loop import FitConfig
from training.shop import NewQuantizer
from training.text_encoder_export import DEFAULT_TEXT_ENCODER


@dataclass(frozen=True)
class NetworkConfig:
    """The network that a run makes."""

    architecture: TransformerArchitecture = field(default_factory=lambda: TransformerArchitecture(output_map=True))
    width: int = 300
    max_history: int = 50
    temperature: float = 0.07


@dataclass(frozen=True)
class TrainingConfig:
    """A run of ``train``, ``pretrain`` or ``adapt``.

    Args:
        layout: of item codes, fingerprints included; a small catalogue gets fewer centroids.
        fingerprints: how many indices of a code are fingerprints; not used where the backbone is given.
        quantizer_of: an adapter whose quantiser is used instead of a new one, by `adapt` alone.
        text_encoder: a name on the hub or a folder; not used where the backbone brings its own.
        network: not used where the backbone is given.
        fit: how long and how fast, and the seed of everything.
        share: of the users, whose histories are all that is learned from; above 0, at most 1. Not of `pretrain`.
        tables: which kind of base table a backbone gets; not used where the backbone is given.
        redrawn_share: ρ, the share of a true code's indices that a semi-synthetic negative draws anew, 0 to 1; 0 makes
            no such negatives. Of `pretrain` alone.
        drawn_negatives: how many items are drawn to be negatives of a batch. Of `pretrain` alone.
        batch_limits: of `pretrain` alone.
        text_start: whether a new network starts by recommending what is like the history in text, or from random
            weights. With permuted tables, which know no text, always from random ones.
    """

    layout: CodeLayout = field(default_factory=CodeLayout)
    fingerprints: int = 1
    quantizer_of: Path | None = None
    text_encoder: str = DEFAULT_TEXT_ENCODER
    network: NetworkConfig = field(default_factory=NetworkConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(learning_rate=3e-3, network_rate=0.0, weight_decay=0.7))
    share: float = 1.0
    tables: TableKind = "projected"
    redrawn_share: float = 0.0
    drawn_negatives: int = 4096
    batch_limits: BatchLimits = field(default_factory=BatchLimits)
    text_start: bool = True

    @property
    def new_quantizer(self) -> NewQuantizer:
        return NewQuantizer(self.layout, self.fit.seed, self.fingerprints)
