"""The offline commands of ``vqrec``, in pipeline order; a stage, and torch with it, is imported when it is called."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from training.command_config import adapt_config, artifact_store, domain_name, one_shop_config, pretraining_config
from training.command_options import (
    DOMAIN_HELP,
    EXISTING_FILE,
    EXISTING_FOLDER,
    FOLDER,
    NEW_FILE,
    data_option,
    network_options,
    out_option,
    pretraining_options,
    seed_option,
    share_option,
    training_options,
)
from training.threads import wait_without_spinning


@click.command()
@click.option("--out", required=True, type=FOLDER, help="Gets a folder for each shop.")
@seed_option
def sample(out: Path, seed: int) -> None:
    """Generate sample data: two small related shops."""
    from training.sample_data import write_sample  # noqa: PLC0415

    for folder in write_sample(out, seed):
        click.echo(folder)


@click.command()
@click.option("--format", "kind", required=True, type=click.Choice(["table", "amazon2023", "unisrec"]))
@click.option("--items", type=EXISTING_FILE, help="table: the items. amazon2023: the `meta` file.")
@click.option("--interactions", type=EXISTING_FILE, help="table: the interactions. amazon2023: the `reviews` file.")
@click.option("--folder", type=EXISTING_FOLDER, help="unisrec: the folder of the atomic files.")
@click.option("--category", help="amazon2023: instead of files, a category by name, downloaded from the hub.")
@click.option("--out", required=True, type=FOLDER, help="Gets items.parquet, interactions.parquet and summary.json.")
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


@click.command()
@data_option
@click.option("--domain", required=True, help=DOMAIN_HELP)
@out_option
@click.option("--zero-shot", is_flag=True, help="Read no interactions: a network and a table that go by text alone.")
@share_option
@training_options
@network_options
def train(data: Path, domain: str, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a network and a table from scratch, for one shop alone. Prints the adapter's path."""
    wait_without_spinning()
    from training.dataset import load_dataset, load_items  # noqa: PLC0415
    from training.train import train as run  # noqa: PLC0415
    from training.zero_shot import train_zero_shot  # noqa: PLC0415

    where = (domain_name(domain), artifact_store(out), one_shop_config(options))
    if options["zero_shot"]:
        adapter = train_zero_shot(load_items(data), *where).adapter
    else:
        adapter = run(load_dataset(data), *where).adapter
    click.echo(adapter.path.resolve())


@click.command()
@click.option("--data", "first", multiple=True, required=True, type=EXISTING_FOLDER, help="A shop's data; repeatable.")
@click.argument("more", nargs=-1, type=EXISTING_FOLDER, metavar="[DIR]...")
@out_option
@training_options
@network_options
@pretraining_options
def pretrain(first: tuple[Path, ...], more: tuple[Path, ...], out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a network on one or several shops, to be adapted to others. Prints the backbone's path."""
    wait_without_spinning()
    from training.dataset import load_dataset  # noqa: PLC0415
    from training.distributed import joined_processes  # noqa: PLC0415
    from training.journal import TensorBoardJournal  # noqa: PLC0415
    from training.pretrain import pretrain as run  # noqa: PLC0415

    journal = TensorBoardJournal if options["tensorboard"] else None
    with joined_processes() as processes:
        with processes.first_speaks():
            config = pretraining_config(options)
        datasets = {str(path): load_dataset(path) for path in (*first, *more)}
        backbone = run(datasets, artifact_store(out), config, processes, journal)
        if processes.is_first:
            click.echo(backbone.path.resolve())


@click.command()
@click.option("--data", type=EXISTING_FOLDER, help="Holds items and interactions.")
@click.option("--redis", help="Instead of --data: read the domain's items from the Redis of its service, by URL.")
@click.option("--interactions", type=EXISTING_FILE, help="With --redis: a table of user_id, item_id, timestamp.")
@click.option("--backbone", required=True, type=EXISTING_FOLDER, help="The backbone artifact.")
@click.option("--domain", required=True, help=DOMAIN_HELP)
@out_option
@click.option(
    "--quantizer-of", type=EXISTING_FOLDER, help="An adapter whose item codes are kept.  [default: new codes]"
)
@click.option("--zero-shot", is_flag=True, help="Read no interactions: the backbone's base table as it is.")
@share_option
@click.option(
    "--alignment-epochs",
    default=None,
    type=click.IntRange(0),
    help="The most epochs of aligning permuted tables; 0 leaves their rows in order.  [default: 15]",
)
@training_options
def adapt(backbone: Path, domain: str, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Train a table for one shop under a frozen network. Prints the adapter's path."""
    wait_without_spinning()
    from training.adapt import adapt as run  # noqa: PLC0415
    from training.shop_source import ShopSource  # noqa: PLC0415
    from training.zero_shot import adapt_zero_shot  # noqa: PLC0415

    source = ShopSource(options["data"], options["redis"], options["interactions"])
    where = (domain_name(domain), backbone, artifact_store(out), adapt_config(options, backbone))
    if options["zero_shot"]:
        adapter = adapt_zero_shot(source.items(*where), *where)
    else:
        adapter = run(source.dataset(*where), *where)
    click.echo(adapter.path.resolve())


@click.command()
@data_option
@click.option("--adapter", required=True, type=EXISTING_FOLDER, help="The adapter, in its artifact folder.")
@click.option("--json", "json_file", type=NEW_FILE, help="Also write the metrics here.")
@click.option("--exclude-history", is_flag=True, help="Rank what a user has not had, as the service does by default.")
def evaluate(data: Path, adapter: Path, json_file: Path | None, exclude_history: bool) -> None:
    """Score the exported artifact: leave-one-out, full catalogue, seen items not removed unless told so."""
    from training.dataset import load_dataset  # noqa: PLC0415
    from training.evaluate import evaluate as run  # noqa: PLC0415
    from training.replace_file import replace_files  # noqa: PLC0415

    evaluation = asdict(run(load_dataset(data), adapter, exclude_history))
    if exclude_history:
        evaluation["exclude_history"] = True
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        document = json.dumps(evaluation, indent=2) + "\n"
        replace_files({json_file: lambda beside: beside.write_text(document)})
    click.echo(f"{evaluation['users']} users, {evaluation['items']} items, {evaluation['seconds']:.1f} s")
    for part in ("valid", "test"):
        click.echo(f"{part:6}" + "  ".join(f"{name} {value:.4f}" for name, value in evaluation[part].items()))


@click.command()
@click.option("--data", type=EXISTING_FOLDER, help="Holds items and interactions.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="[NAME=]PATH",
    help="An adapter, in its artifact folder; repeatable. Those of one NAME are runs of one system.",
)
@click.option("--baselines", is_flag=True, help="Also popularity, and the texts nearest to the last item.")
@click.option("--split", default="test", show_default=True, type=click.Choice(["test", "valid"]), help="Which targets.")
@click.option("--results", type=EXISTING_FOLDER, help="Holds results of other runs (*.json), to stand beside these.")
@click.option("--out", required=True, type=FOLDER, help="Gets report.md, report.html and report.json.")
def report(data: Path | None, adapters: tuple[str, ...], results: Path | None, out: Path, **how: Any) -> None:  # noqa: ANN401
    """Adapters side by side, in more than one number, as Markdown and HTML. Prints the page's path."""
    if bool(data) != bool(adapters) or not (data or results) or (how["baselines"] and not data):
        raise click.UsageError("give --data with --adapter, or --results, or all three; --baselines needs --adapter")
    from training.report.command import NamedAdapter, ReportConfig  # noqa: PLC0415
    from training.report.command import report as run  # noqa: PLC0415

    named = tuple(NamedAdapter.parse(adapter) for adapter in adapters)
    click.echo(run(ReportConfig(data, named, **how) if data else None, results, out).resolve())


@click.command()
@data_option
@click.option("--domain", required=True, help=DOMAIN_HELP)
@click.option("--url", required=True, help="Of the service, such as http://127.0.0.1:8000.")
@click.option("--api-key", envvar="VQREC_API_KEY", help="With the scope `ingest`.  [env: VQREC_API_KEY]")
def ingest(data: Path, domain: str, url: str, api_key: str | None) -> None:
    """Send a catalogue to a running service, in bulk."""
    from training.dataset import load_items  # noqa: PLC0415
    from training.ingest import IngestTarget  # noqa: PLC0415
    from training.ingest import ingest as run  # noqa: PLC0415

    target = IngestTarget(url, domain_name(domain), api_key)
    counts = run(load_items(data), target)
    click.echo(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    if counts.get("invalid"):
        raise click.ClickException(f"{counts['invalid']} items were refused; the others are served")
