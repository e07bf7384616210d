"""What an adapting run is told."""

from dataclasses import asdict, replace

from tests.training.small_shop import CONFIG
from training.adapt_config import ALIGNMENT, AdaptConfig


def test_a_plain_training_run_adapts_to_all_users_and_is_aligned() -> None:
    config = AdaptConfig.of(CONFIG)
    assert (config.share, config.alignment) == (1.0, ALIGNMENT)
    assert asdict(config).items() >= asdict(CONFIG).items()


def test_what_is_said_stays() -> None:
    config = replace(AdaptConfig.of(CONFIG), share=0.05, alignment=None)
    assert AdaptConfig.of(config) is config
