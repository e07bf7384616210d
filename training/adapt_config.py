"""What an adapting run is told besides what every training run is."""

from dataclasses import dataclass, fields

from training.config import TrainingConfig
from training.loop import FitConfig

ALIGNMENT = FitConfig(max_epochs=15, patience=5, learning_rate=0.3)
"""How alignment is learned. A logit has far to go before a choice between hundreds of rows is clear: hence the rate."""


@dataclass(frozen=True)
class AdaptConfig(TrainingConfig):
    """A run of ``adapt``.

    Args:
        alignment: how a permuted table is aligned with the shop's codes; its seed is that of ``fit``. None leaves the
            rows in their order.
    """

    alignment: FitConfig | None = ALIGNMENT

    @classmethod
    def of(cls, config: TrainingConfig) -> "AdaptConfig":
        """The same run; what a plain training run does not say is left at its default."""
        if isinstance(config, AdaptConfig):
            return config
        return cls(**{field.name: getattr(config, field.name) for field in fields(config)})
