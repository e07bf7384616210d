"""The options that several offline commands take."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from models.manifest import MOST_HISTORY
from training.out_folder import OutFile, OutFolder

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = OutFolder()
NEW_FILE = OutFile()
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DOMAIN_HELP = "The name it is served under: lower-case letters, digits, - and _."

data_option = click.option("--data", required=True, type=EXISTING_FOLDER, help="Holds items and interactions.")
out_option = click.option("--out", required=True, type=FOLDER, help="The artifact folder to write into.")
seed_option = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Fixes all chance."
)
share_option = click.option(
    "--share",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=1),
    help="Of the users, drawn by the seed, whose histories are learned from.",
)


def training_options(stage: F) -> F:
    """The options of every stage that trains."""
    options = [
        seed_option,
        click.option("--epochs", default=30, show_default=True, type=click.IntRange(1), help="The most epochs."),
        click.option(
            "--patience",
            default=4,
            show_default=True,
            type=click.IntRange(1),
            help="Epochs without a better validation NDCG@10.",
        ),
        click.option(
            "--learning-rate",
            default=3e-3,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True, max=1e3),
            help="Of a table's rows.",
        ),
        click.option(
            "--codebooks", default=32, show_default=True, help="Indices of an item code, fingerprints included."
        ),
        click.option("--codebook-size", default=256, show_default=True, help="Centroids a codebook, a power of two."),
    ]
    return _with_options(stage, options)


def network_options(stage: F) -> F:
    """The options of a stage that makes a network."""
    options = [
        click.option(
            "--network-rate",
            default=None,
            type=click.FloatRange(0, 1000),
            help="How fast the network learns beside the table: the learning rate is multiplied by this. With 0 it "
            "stays as it starts, from text, which is best for one shop alone.  [default: 0; of pretrain 0.03, with "
            "permuted tables 1]",
        ),
        click.option("--text-encoder", default=None, help="A name on the hub or a folder.  [default: MiniLM]"),
        click.option(
            "--width", default=300, show_default=True, type=click.IntRange(1), help="Of item and user vectors."
        ),
        click.option(
            "--fingerprints",
            default=1,
            show_default=True,
            type=click.IntRange(0, 8),
            help="How many of the --codebooks tell items of one kind apart, where the others say what kind it is; "
            "with 0 like items may share a code, and are then recommended alike.",
        ),
        click.option("--layers", default=2, show_default=True, type=click.IntRange(1, 64), help="Of the Transformer."),
        click.option("--heads", default=2, show_default=True, type=click.IntRange(1, 64), help="Of its attention."),
        click.option(
            "--max-history",
            default=50,
            show_default=True,
            type=click.IntRange(3, MOST_HISTORY),
            help="The longest history it sees.",
        ),
    ]
    return _with_options(stage, options)


def pretraining_options(stage: F) -> F:
    """The options of ``pretrain`` alone."""
    options = [
        click.option(
            "--tables",
            default="projected",
            show_default=True,
            type=click.Choice(["projected", "shared", "permuted"]),
            help="How another shop gets its table from the backbone.",
        ),
        click.option(
            "--redrawn-share",
            default=0.0,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Of a code's indices that a semi-synthetic negative draws anew; 0 makes none.",
        ),
        click.option(
            "--drawn-negatives",
            default=4096,
            show_default=True,
            type=click.IntRange(0),
            help="Items of all shops, each as likely, that are negatives of a batch beside its targets.",
        ),
        click.option(
            "--tensorboard", is_flag=True, help="Take down loss and metrics in event files below logs/ of --out."
        ),
    ]
    return _with_options(stage, options)


def _with_options(stage: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        stage = option(stage)
    return stage
