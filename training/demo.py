"""``make demo``: the whole way once, on sample data, by the commands that a user would type."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import httpx

from models.errors import VqrecError
from training.dataset import Dataset, load_dataset
from training.demo_artifacts import identity, trained_once
from training.local_service import check_free, checked, local_service, serve_adapter

_PRETRAIN = ("--epochs", "10")
_ADAPT = ("--epochs", "5")
_NEW_ITEM = "demo-new-item"


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--port", type=int, default=8000, envvar="PORT", show_default=True)
@click.option("--oneshot", type=bool, default=False, envvar="ONESHOT", help="Stop after showing what there is to see.")
def demo(folder: Path, port: int, oneshot: bool) -> None:
    """Two shops: generated, trained, served, and asked for recommendations."""
    started = time.monotonic()
    check_free(port)  # now, and not after minutes of training
    data, artifacts, state = folder / "data", folder / "artifacts", folder / f"service-{port}"
    shutil.rmtree(state, ignore_errors=True)  # what an earlier demo served may have another backbone
    shops = [Path(line) for line in _vqrec("sample", "--out", data).splitlines()]
    of = identity({shop.name: shop for shop in shops}, f"{_PRETRAIN} {_ADAPT}")
    adapters = trained_once(folder / "trained.json", of, lambda: _train(shops, artifacts), _heading)
    for shop in shops:
        _heading(f"How good is the adapter of {shop.name}?")
        click.echo(_vqrec("evaluate", "--data", shop, "--adapter", adapters[shop.name]))
    _heading(f"$ vqrec serve --artifacts {artifacts} --data-dir {state} --port {port}")
    with local_service(artifacts, state, port) as client:
        for shop in shops:
            serve_adapter(client, shop.name, adapters[shop.name])
            click.echo(_vqrec("ingest", "--data", shop, "--domain", shop.name, "--url", client.base_url))
            _show(client, shop.name, load_dataset(shop))
        _heading(f"Done in {time.monotonic() - started:.0f} s")
        if not oneshot:
            click.echo(f"Serving on {client.base_url}; docs/rest.md tells what to ask. Ctrl-C stops it.")
            signal.pause()


def _train(shops: Sequence[Path], artifacts: Path) -> dict[str, Path]:
    backbone = _vqrec("pretrain", "--data", *shops, "--out", artifacts, *_PRETRAIN)
    where = ("--backbone", backbone, "--out", artifacts)
    return {shop.name: Path(_vqrec("adapt", "--data", shop, "--domain", shop.name, *where, *_ADAPT)) for shop in shops}


def _vqrec(*arguments: object) -> str:
    words = [str(argument) for argument in arguments]
    click.secho(f"\n$ vqrec {' '.join(words)}", bold=True)
    command = [str(Path(sys.executable).with_name("vqrec")), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own commands
    if done.returncode:
        sys.exit(done.returncode)
    return str(done.stdout).strip()


def _show(client: httpx.Client, domain: str, dataset: Dataset) -> None:
    texts = dict(zip(dataset.item_ids, dataset.texts, strict=True))
    history = [dataset.item_ids[item] for item in dataset.histories[0][:-1]]
    _heading(f"{domain}: a customer bought")
    _lines(texts[item_id] for item_id in history)
    _heading("and is recommended")
    _lines(f"{item['score']:.3f}  {texts[item['item_id']]}" for item in _recommend(client, domain, history))

    wanted = dataset.texts[dataset.histories[0][-1]]
    _heading("A new item arrives, known by its text alone")
    _lines([wanted])
    put = client.put(f"/v1/domains/{domain}/items/{_NEW_ITEM}", json={"text": f"{wanted} (new edition)"})
    click.echo(f"   {json.dumps(checked(put))}")
    ranked = [item["item_id"] for item in _recommend(client, domain, history, limit=50)]
    place = f"place {ranked.index(_NEW_ITEM) + 1}" if _NEW_ITEM in ranked else "not among the first 50"
    click.echo(f"   in the same customer's recommendations, at once: {place}")
    client.delete(f"/v1/domains/{domain}/items/{_NEW_ITEM}").raise_for_status()


def _recommend(client: httpx.Client, domain: str, history: list[str], limit: int = 5) -> list[dict[str, Any]]:
    body = {"history": history, "limit": limit}
    items: list[dict[str, Any]] = checked(client.post(f"/v1/domains/{domain}/recommendations", json=body))["items"]
    return items


def _heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"   {line[:110]}")


def main() -> None:
    """Run the demo; what goes wrong is one line, as on the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo(standalone_mode=False)
    except VqrecError as error:
        click.echo(f"demo: {error.detail}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("demo: stopped", err=True)


if __name__ == "__main__":
    main()
