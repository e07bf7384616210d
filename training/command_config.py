"""What the command line was told ─► what a stage is told. Torch is imported when it is called."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from training.adapt_config import AdaptConfig
    from training.config import TrainingConfig


def training_config(options: dict[str, Any]) -> "TrainingConfig":
    """A run of ``train``, ``pretrain`` or ``adapt``; raises click.BadParameter if options do not go together."""
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


def adapt_config(options: dict[str, Any]) -> "AdaptConfig":
    """A run of ``adapt``; raises click.UsageError if options do not go together."""
    from training.adapt_config import ALIGNMENT, AdaptConfig  # noqa: PLC0415

    if options["zero_shot"] and (options["share"] < 1 or options["interactions"]):
        raise click.UsageError("--zero-shot reads no interactions: leave out --share and --interactions")
    config = replace(AdaptConfig.of(training_config(options)), share=options["share"])
    epochs = options["alignment_epochs"]
    if epochs is None:
        return config
    return replace(config, alignment=replace(ALIGNMENT, max_epochs=epochs) if epochs else None)


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
