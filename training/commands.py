"""The offline commands of ``vqrec``, in pipeline order; a stage, and torch with it, is imported when it is called."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from training.threads import wait_without_spinning

if TYPE_CHECKING:
    from training.adapt_config import AdaptConfig
    from training.config import TrainingConfig

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DOMAIN_HELP = "The name it is served under: lower-case letters, digits, - and _."

_data = click.option("--data", required=True, type=_EXISTING_FOLDER, help="Holds items and interactions.")
_out = click.option("--out", required=True, type=_FOLDER, help="The artifact folder to write into.")
_seed = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Fixes all chance."
)
_share = click.option(
    "--share",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=1),
    help="Of the users, drawn by the seed, whose histories are learned from.",
)


@click.command()
@click.option("--out", required=True, type=_FOLDER, help="Gets a folder for each shop.")
@_seed
def sample(out: Path, seed: int) -> None:
    """Generate sample data: two small related shops."""
    from training.sample_data import write_sample  # noqa: PLC0415

    for folder in write_sample(out, seed):
        click.echo(folder)


@click.command()
@click.option("--format", "kind", required=True, type=click.Choice(["table", "amazon2023", "unisrec"]))
@click.option("--items", type=_EXISTING_FILE, help="table: the items. amazon2023: the `meta` file.")
@click.option("--interactions", type=_EXISTING_FILE, help="table: the interactions. amazon2023: the `reviews` file.")
@click.option("--folder", type=_EXISTING_FOLDER, help="unisrec: the folder of the atomic files.")
@click.option("--category", help="amazon2023: instead of files, a category by name, downloaded from the hub.")
@click.option("--out", required=True, type=_FOLDER, help="Gets items.parquet, interactions.parquet and summary.json.")
@click.option("--min-user", default=5, show_default=True, help="Fewest interactions of a user (k-core); 1 keeps all.")
@click.option("--min-item", default=5, show_default=True, help="Fewest interactions of an item (k-core); 1 keeps all.")
@click.option("--deduplicate-pairs", is_flag=True, help="Keep only a user's first interaction with an item.")
def prepare(kind: Any, out: Path, min_user: int, min_item: int, deduplicate_pairs: bool, **where: Any) -> None:  # noqa: ANN401
    """Raw data ─► the neutral form: items.parquet and interactions.parquet."""
    from training.prepare import PrepareConfig  # noqa: PLC0415
    from training.prepare import prepare as run  # noqa: PLC0415
    from training.readers import open_source  # noqa: PLC0415

    source = open_source(kind, **where)
    click.echo(run(PrepareConfig(source, out, min_user, min_item, deduplicate_pairs)))


def _training_options(stage: F) -> F:
    """The options of every stage that trains."""
    options = [
        _seed,
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
    for option in reversed(options):
        stage = option(stage)
    return stage


def _network_options(stage: F) -> F:
    """The options of a stage that makes a network."""
    options = [
        click.option(
            "--network-rate",
            default=None,
            type=click.FloatRange(0, 1000),
            help="Of the network, as a part of that.  [default: 0; of pretrain 0.03, with permuted tables 1]",
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
            help="Of those, the ones that tell an item from its nearest kin.",
        ),
        click.option("--layers", default=2, show_default=True, type=click.IntRange(1, 64), help="Of the Transformer."),
        click.option("--heads", default=2, show_default=True, type=click.IntRange(1, 64), help="Of its attention."),
        click.option(
            "--max-history", default=50, show_default=True, type=click.IntRange(3), help="The longest history it sees."
        ),
    ]
    for option in reversed(options):
        stage = option(stage)
    return stage


@click.command()
@_data
@click.option("--domain", required=True, help=_DOMAIN_HELP)
@_out
@click.option("--zero-shot", is_flag=True, help="Read no interactions: a network and a table that go by text alone.")
@_share
@_training_options
@_network_options
def train(data: Path, domain: str, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a network and a table from scratch, for one shop alone. Prints the adapter's path."""
    wait_without_spinning()
    from training.dataset import load_dataset, load_items  # noqa: PLC0415
    from training.train import train as run  # noqa: PLC0415
    from training.zero_shot import train_zero_shot  # noqa: PLC0415

    config = replace(_config(options), share=options["share"])
    where = (_domain(domain), _store(out), config)
    if not options["zero_shot"]:
        trained = run(load_dataset(data), *where)
    elif config.share < 1:
        raise click.UsageError("--zero-shot reads no interactions: leave out --share")
    else:
        trained = train_zero_shot(load_items(data), *where)
    click.echo(trained.adapter.path.resolve())


@click.command()
@click.option("--data", "first", multiple=True, required=True, type=_EXISTING_FOLDER, help="A shop's data; repeatable.")
@click.argument("more", nargs=-1, type=_EXISTING_FOLDER, metavar="[DIR]...")
@_out
@_training_options
@_network_options
@click.option(
    "--tables",
    default="projected",
    show_default=True,
    type=click.Choice(["projected", "shared", "permuted"]),
    help="How another shop gets its table from the backbone.",
)
@click.option(
    "--redrawn-share",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Of a code's indices that a semi-synthetic negative draws anew; 0 makes none.",
)
@click.option("--tensorboard", is_flag=True, help="Take down loss and metrics in event files below logs/ of --out.")
def pretrain(first: tuple[Path, ...], more: tuple[Path, ...], out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a network on one or several shops, to be adapted to others. Prints the backbone's path."""
    wait_without_spinning()
    from training.dataset import load_dataset  # noqa: PLC0415
    from training.distributed import joined_processes  # noqa: PLC0415
    from training.journal import TensorBoardJournal  # noqa: PLC0415
    from training.pretrain import pretrain as run  # noqa: PLC0415

    datasets = {str(path): load_dataset(path) for path in (*first, *more)}
    config = replace(_config(options), tables=options["tables"], redrawn_share=options["redrawn_share"])
    journal = TensorBoardJournal if options["tensorboard"] else None
    with joined_processes() as processes:
        backbone = run(datasets, _store(out), config, processes, journal)
        if processes.is_first:
            click.echo(backbone.path.resolve())


@click.command()
@click.option("--data", type=_EXISTING_FOLDER, help="Holds items and interactions.")
@click.option("--redis", help="Instead of --data: read the domain's items from the Redis of its service, by URL.")
@click.option("--interactions", type=_EXISTING_FILE, help="With --redis: a table of user_id, item_id, timestamp.")
@click.option("--backbone", required=True, type=_EXISTING_FOLDER, help="The backbone artifact.")
@click.option("--domain", required=True, help=_DOMAIN_HELP)
@_out
@click.option(
    "--quantizer-of", type=_EXISTING_FOLDER, help="An adapter whose item codes are kept.  [default: new codes]"
)
@click.option("--zero-shot", is_flag=True, help="Read no interactions: the backbone's base table as it is.")
@_share
@click.option(
    "--alignment-epochs",
    default=None,
    type=click.IntRange(0),
    help="The most epochs of aligning permuted tables; 0 leaves their rows in order.  [default: 15]",
)
@_training_options
def adapt(backbone: Path, domain: str, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a table for one shop under a frozen network. Prints the adapter's path."""
    wait_without_spinning()
    from training.adapt import adapt as run  # noqa: PLC0415
    from training.shop_source import ShopSource  # noqa: PLC0415
    from training.zero_shot import adapt_zero_shot  # noqa: PLC0415

    source = ShopSource(options["data"], options["redis"], options["interactions"])
    where = (_domain(domain), backbone, _store(out), _adapt_config(options))
    if options["zero_shot"]:
        adapter = adapt_zero_shot(source.items(*where), *where)
    else:
        adapter = run(source.dataset(*where), *where)
    click.echo(adapter.path.resolve())


@click.command()
@_data
@click.option("--adapter", required=True, type=_EXISTING_FOLDER, help="The adapter, in its artifact folder.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the metrics here."
)
def evaluate(data: Path, adapter: Path, json_file: Path | None) -> None:
    """Score the exported artifact: leave-one-out, full catalogue, seen items not removed."""
    from training.dataset import load_dataset  # noqa: PLC0415
    from training.evaluate import evaluate as run  # noqa: PLC0415

    evaluation = asdict(run(load_dataset(data), adapter))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(evaluation, indent=2) + "\n")
    click.echo(f"{evaluation['users']} users, {evaluation['items']} items, {evaluation['seconds']:.1f} s")
    for part in ("valid", "test"):
        click.echo(f"{part:6}" + "  ".join(f"{name} {value:.4f}" for name, value in evaluation[part].items()))


@click.command()
@click.option("--data", type=_EXISTING_FOLDER, help="Holds items and interactions.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="[NAME=]PATH",
    help="An adapter, in its artifact folder; repeatable. Those of one NAME are runs of one system.",
)
@click.option("--baselines", is_flag=True, help="Also popularity, and the texts nearest to the last item.")
@click.option("--split", default="test", show_default=True, type=click.Choice(["test", "valid"]), help="Which targets.")
@click.option("--results", type=_EXISTING_FOLDER, help="Holds results of other runs (*.json), to stand beside these.")
@click.option("--out", required=True, type=_FOLDER, help="Gets report.md, report.html and report.json.")
def report(data: Path | None, adapters: tuple[str, ...], results: Path | None, out: Path, **how: Any) -> None:  # noqa: ANN401
    """Adapters side by side, in more than one number, as Markdown and HTML. Prints the page's path."""
    if bool(data) != bool(adapters) or not (data or results) or (how["baselines"] and not data):
        raise click.UsageError("give --data with --adapter, or --results, or all three; --baselines needs --adapter")
    from training.report.command import NamedAdapter, ReportConfig  # noqa: PLC0415
    from training.report.command import report as run  # noqa: PLC0415

    named = tuple(NamedAdapter.parse(adapter) for adapter in adapters)
    click.echo(run(ReportConfig(data, named, **how) if data else None, results, out).resolve())


@click.command()
@_data
@click.option("--domain", required=True, help="The domain that the service serves it under.")
@click.option("--url", required=True, help="Of the service, such as http://127.0.0.1:8000.")
@click.option("--api-key", envvar="VQREC_API_KEY", help="With the scope `ingest`.  [env: VQREC_API_KEY]")
def ingest(data: Path, domain: str, url: str, api_key: str | None) -> None:
    """Send a catalogue to a running service, in bulk."""
    from training.dataset import load_items  # noqa: PLC0415
    from training.ingest import IngestTarget  # noqa: PLC0415
    from training.ingest import ingest as run  # noqa: PLC0415

    counts = run(load_items(data), IngestTarget(url, domain, api_key))
    click.echo(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    if counts.get("invalid"):
        raise click.ClickException(f"{counts['invalid']} items were refused; the others are served")


def _config(options: dict[str, Any]) -> "TrainingConfig":
    from models.codes import CodeLayout  # noqa: PLC0415
    from models.manifest import TransformerArchitecture  # noqa: PLC0415
    from training.config import NetworkConfig, TrainingConfig  # noqa: PLC0415
    from training.loop import FitConfig  # noqa: PLC0415

    fit = FitConfig(
        max_epochs=options["epochs"],
        patience=options["patience"],
        learning_rate=options["learning_rate"],
        network_rate=_network_rate(options),
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


def _adapt_config(options: dict[str, Any]) -> "AdaptConfig":
    from training.adapt_config import ALIGNMENT, AdaptConfig  # noqa: PLC0415

    if options["zero_shot"] and (options["share"] < 1 or options["interactions"]):
        raise click.UsageError("--zero-shot reads no interactions: leave out --share and --interactions")
    config = replace(AdaptConfig.of(_config(options)), share=options["share"])
    epochs = options["alignment_epochs"]
    if epochs is None:
        return config
    return replace(config, alignment=replace(ALIGNMENT, max_epochs=epochs) if epochs else None)


def _store(out: Path) -> Any:  # noqa: ANN401 - imported when it is called
    from models.store import ArtifactStore  # noqa: PLC0415

    return ArtifactStore(out)


def _domain(name: str) -> str:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from models.manifest import DomainName  # noqa: PLC0415

    try:
        return str(TypeAdapter(DomainName).validate_python(name))
    except ValidationError as error:
        raise click.BadParameter(f"{name!r} is not a domain name: {_DOMAIN_HELP}") from error
