"""What the command line was told ─► what a stage is told. Torch is imported when it is called."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from training.adapt_config import AdaptConfig
    from training.config import TrainingConfig

_OF_TRAINING = ("epochs", "patience", "learning_rate", "network_rate", "alignment_epochs")
_OF_NEW_CODES = ("codebooks", "codebook_size")


def one_shop_config(options: dict[str, Any]) -> "TrainingConfig":
    """A run of ``train``; raises click.UsageError if options do not go together, and says which have no effect."""
    if options["zero_shot"]:
        if options["share"] < 1:
            raise click.UsageError("--zero-shot reads no interactions: leave out --share")
        _tell_given(_OF_TRAINING, "--zero-shot trains nothing")
    return replace(_training_config(options), share=options["share"])


def pretraining_config(options: dict[str, Any]) -> "TrainingConfig":
    """A run of ``pretrain``; raises click.UsageError if options do not go together, and says which have no effect."""
    if options["tables"] == "permuted" and options["fingerprints"]:
        _tell_given(("fingerprints",), "codes of permuted tables have no fingerprints")
    of_pretraining = {name: options[name] for name in ("tables", "redrawn_share", "drawn_negatives")}
    return replace(_training_config(options), **of_pretraining)


def adapt_config(options: dict[str, Any], backbone: Path) -> "AdaptConfig":
    """A run of ``adapt``.

    Args:
        options: what the command line was told.
        backbone: the artifact, which is read only where an option is given that not every backbone has a use for.

    Raises:
        click.UsageError: if options do not go together. Those that have no effect are said.
        InvalidArtifactError, ArtifactNotFoundError, ArtifactMismatchError: if the backbone is not there or not sound.
    """
    from training.adapt_config import ALIGNMENT, AdaptConfig  # noqa: PLC0415

    if options["zero_shot"]:
        if options["share"] < 1 or options["interactions"]:
            raise click.UsageError("--zero-shot reads no interactions: leave out --share and --interactions")
        _tell_given(_OF_TRAINING, "--zero-shot trains nothing")
    if options["quantizer_of"]:
        _tell_given(_OF_NEW_CODES, "--quantizer-of keeps the item codes there are")
    _tell_what_the_backbone_decides(
        backbone,
        codes=() if options["quantizer_of"] else _OF_NEW_CODES,
        alignment=() if options["zero_shot"] else ("alignment_epochs",),
    )
    config = replace(AdaptConfig.of(_training_config(options)), share=options["share"])
    epochs = options["alignment_epochs"]
    if epochs is None:
        return config
    return replace(config, alignment=replace(ALIGNMENT, max_epochs=epochs) if epochs else None)


def _tell_what_the_backbone_decides(path: Path, codes: Sequence[str], alignment: Sequence[str]) -> None:
    if not _given((*codes, *alignment)):
        return
    from models.bundle import read_bundle  # noqa: PLC0415
    from models.manifest import BackboneManifest  # noqa: PLC0415

    tables = read_bundle(path, BackboneManifest).manifest.tables
    if tables == "shared":
        _tell_given(codes, "with shared tables the backbone brings the item codes")
    if tables == "permuted":
        _tell_given(codes, "with permuted tables the backbone decides how long item codes are")
    else:
        _tell_given(alignment, f"the backbone's tables are {tables}, and only permuted ones are aligned")


def _tell_given(names: Sequence[str], why: str) -> None:
    """Say if the user gave any of these options that they have no effect; a mere default is nobody's wish."""
    from training.progress import say  # noqa: PLC0415

    if given := _given(names):
        say(f"{why}: no effect of {' and '.join(given)}")


def _given(names: Sequence[str]) -> list[str]:
    """Those of the running command's options that it was called with, as they are written."""
    source = click.get_current_context().get_parameter_source
    return ["--" + name.replace("_", "-") for name in names if source(name) is ParameterSource.COMMANDLINE]


def _training_config(options: dict[str, Any]) -> "TrainingConfig":
    from models.codes import CodeLayout  # noqa: PLC0415
    from models.manifest import TransformerArchitecture  # noqa: PLC0415
    from training.config import NetworkConfig, TrainingConfig  # noqa: PLC0415
    from training.loop import FitConfig  # noqa: PLC0415

    fit = FitConfig(
        max_epochs=options["epochs"],
        patience=options["patience"],
        learning_rate=options["learning_rate"],
        network_rate=_network_rate(options),
        weight_decay=TrainingConfig().fit.weight_decay,
        seed=options["seed"],
    )
    if options["codebook_size"] & (options["codebook_size"] - 1):
        raise click.BadParameter(f"--codebook-size must be a power of two, not {options['codebook_size']}")
    layout = CodeLayout(options["codebooks"], options["codebook_size"])
    if "width" not in options:
        return TrainingConfig(layout=layout, quantizer_of=options["quantizer_of"], fit=fit)
    if options["width"] % options["heads"]:
        raise click.BadParameter(f"--width {options['width']} is not a multiple of --heads {options['heads']}")
    network = NetworkConfig(
        architecture=TransformerArchitecture(
            layers=options["layers"], heads=options["heads"], output_map=options.get("tables") != "permuted"
        ),
        width=options["width"],
        max_history=options["max_history"],
    )
    text_encoder = {"text_encoder": options["text_encoder"]} if options["text_encoder"] else {}
    if options["fingerprints"] >= layout.num_codebooks:
        raise click.BadParameter(f"--fingerprints must be fewer than the {layout.num_codebooks} --codebooks")
    fingerprints = options["fingerprints"]
    return TrainingConfig(layout=layout, fingerprints=fingerprints, network=network, fit=fit, **text_encoder)


def _network_rate(options: dict[str, Any]) -> float:
    """From one shop a network that starts from text has little to learn; one that starts from random weights, all."""
    given = options.get("network_rate")
    if given is not None:
        return float(given)
    return {None: 0.0, "permuted": 1.0}.get(options.get("tables"), 0.03)


def artifact_store(out: Path) -> Any:  # noqa: ANN401 - imported when it is called
    """The artifact folder ``out``."""
    from models.store import ArtifactStore  # noqa: PLC0415

    return ArtifactStore(out)


def domain_name(name: str) -> str:
    """``name``, if a domain can be called so; else click.BadParameter."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from models.manifest import DomainName  # noqa: PLC0415

    try:
        return str(TypeAdapter(DomainName).validate_python(name))
    except ValidationError as error:
        meant = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "shop"
        raise click.BadParameter(
            f"{name!r} is not a domain name: 1 to 63 lower-case letters, digits, - and _, the first a letter or a "
            f"digit, such as {meant}",
            param_hint="--domain",
        ) from error
