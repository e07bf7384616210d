"""What the offline commands refuse: with a line that says why, before anything is done."""

from pathlib import Path

import pytest

from models.bundle import write_bundle
from models.manifest import LayoutManifest, TableKind
from tests.tiny_models import write_tiny_store
from tests.training.running_commands import NETWORK, SIZES, Vqrec
from tests.training.small_shop import SmallShops


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--domain", "My Shop"), "the first a letter or a digit, such as my-shop"),
        (("--domain", "../up"), "is not a domain name"),
        (("--epochs", "0"), "--epochs"),
        (("--patience", "0"), "--patience"),
        (("--seed", "-1"), "--seed"),
        (("--layers", "0"), "--layers"),
        (("--heads", "0"), "--heads"),
        (("--width", "0"), "--width"),
        (("--width", "15", "--heads", "2"), "heads"),
        (("--max-history", "2"), "--max-history"),
        (("--codebooks", "0"), "num_codebooks must be 1 to 1024"),
        (("--codebook-size", "1"), "codebook_size must be 2"),
        (("--codebook-size", "100"), "power of two"),
        (("--learning-rate", "fast"), "--learning-rate"),
        (("--learning-rate", "0"), "--learning-rate"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_is_done(
    vqrec: Vqrec, shops: SmallShops, tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    domain = () if "--domain" in options else ("--domain", "shop")
    done = vqrec("train", "--data", shops.folders[0], *domain, "--out", tmp_path / "out", *NETWORK, *SIZES, *options)
    assert done.status in (1, 2)
    assert complaint in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["sample --out", "prepare --out", "train --out", "report --out", "evaluate --json"])
@pytest.mark.parametrize("place", ["/proc/x", "a file/x/y"])
def test_a_place_that_takes_no_files_is_told_in_one_line_before_anything_is_done(
    vqrec: Vqrec, shops: SmallShops, tmp_path: Path, command: str, place: str
) -> None:
    (tmp_path / "a file").touch()
    name, option = command.split()
    needed: dict[str, tuple[object, ...]] = {
        "sample": (),
        "prepare": ("--format", "table"),
        "train": ("--data", shops.folders[0], "--domain", "shop"),
        "report": ("--results", shops.folders[0]),
        "evaluate": ("--data", shops.folders[0], "--adapter", shops.folders[0]),
    }
    out = tmp_path / place / "out"  # an absolute place stays one
    done = vqrec(name, *needed[name], option, out)
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    shown = out.parent if option == "--json" else out
    assert line.startswith(f"vqrec: {option} {shown}: nothing can be written there (")
    assert line.endswith("give a place that may be written to")


def test_a_place_that_is_yet_to_be_made_is_left_as_it_is_until_something_is_written(
    vqrec: Vqrec, shops: SmallShops, tmp_path: Path
) -> None:
    done = vqrec("train", "--data", tmp_path, "--domain", "shop", "--out", tmp_path / "made" / "later")
    assert "has no items.parquet" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (("--domain", "Shop", "--url", "http://127.0.0.1:1"), 2, "'Shop' is not a domain name: 1 to 63 lower-case"),
        (("--domain", "shop", "--url", "localhost:8000"), 1, "it begins with http:// or https://, such as http://127."),
    ],
)
def test_ingest_says_what_a_domain_and_a_url_look_like(
    vqrec: Vqrec, shops: SmallShops, options: tuple[str, ...], status: int, complaint: str
) -> None:
    done = vqrec("ingest", "--data", shops.folders[0], *options)
    assert (done.status, done.out) == (status, "")
    assert complaint in done.err
    assert "Traceback" not in done.err


def test_data_that_is_none_is_one_line(vqrec: Vqrec, tmp_path: Path) -> None:
    done = vqrec("train", "--data", tmp_path, "--domain", "shop", "--out", tmp_path / "out")
    assert done.status == 1
    assert len(done.err.splitlines()) == 1
    assert "has no items.parquet" in done.err


def test_an_artifact_of_another_kind_is_one_line(vqrec: Vqrec, shops: SmallShops, tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path / "tiny")
    done = vqrec("evaluate", "--data", shops.folders[0], "--adapter", tiny.backbone.path)
    assert (done.status, len(done.err.splitlines()), done.out) == (1, 1, "")
    where = ("--domain", "shop", "--out", tmp_path / "out")
    done = vqrec("adapt", "--data", shops.folders[0], "--backbone", tiny.adapter.path, *where)
    assert (done.status, done.out) == (1, "")
    assert "is of the kind adapter, not backbone" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [(), ("--baselines",), ("--data", "."), ("--adapter", "somewhere")])
def test_report_says_what_it_needs(vqrec: Vqrec, tmp_path: Path, options: tuple[str, ...]) -> None:
    done = vqrec("report", *options, "--out", tmp_path / "out")
    assert done.status == 2
    assert "give --data with --adapter, or --results" in done.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "either --data or --redis"),
        (("--data", ".", "--redis", "redis://localhost"), "either --data or --redis"),
        (("--data", ".", "--interactions", __file__), "--interactions goes with --redis"),
        (("--data", ".", "--zero-shot", "--share", "0.5"), "reads no interactions"),
        (("--redis", "redis://localhost", "--zero-shot", "--interactions", __file__), "reads no interactions"),
        (("--data", ".", "--share", "0"), "--share"),
        (("--data", ".", "--share", "1.5"), "--share"),
        (("--redis", "http://localhost", "--zero-shot"), "not a Redis URL"),
    ],
)
def test_adapt_refuses_sources_and_shares_that_make_no_sense(
    vqrec: Vqrec, tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    done = vqrec("adapt", *options, "--backbone", tmp_path, "--domain", "shop", "--out", tmp_path / "out")
    assert done.status in (1, 2)
    assert complaint in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tables", "options", "complaint"),
    [
        ("shared", ("--codebooks", "32"), "the backbone brings the item codes: no effect of --codebooks\n"),
        ("shared", ("--codebooks", "8", "--codebook-size", "8"), "no effect of --codebooks and --codebook-size\n"),
        (
            "shared",
            ("--alignment-epochs", "15"),
            "tables are shared, and only permuted ones are aligned: no effect of --al",
        ),
        (
            "permuted",
            ("--codebook-size", "8"),
            "the backbone decides how long item codes are: no effect of --codebook-size",
        ),
        (
            "projected",
            ("--alignment-epochs", "0"),
            "tables are projected, and only permuted ones are aligned: no effect",
        ),
    ],
)
def test_adapt_says_what_this_backbone_has_no_use_for(
    vqrec: Vqrec, tmp_path: Path, tables: TableKind, options: tuple[str, ...], complaint: str
) -> None:
    where = ("--backbone", _backbone_with(tables, tmp_path), "--domain", "shop", "--out", tmp_path / "out")
    done = vqrec("adapt", "--data", tmp_path, *where, *options)
    assert (done.status, done.out) == (1, "")
    assert complaint in done.err
    assert "has no items.parquet" in done.err


@pytest.mark.parametrize(
    ("tables", "options"),
    [
        ("shared", ("--epochs", "1")),
        ("permuted", ("--alignment-epochs", "0")),
        ("projected", ("--codebooks", "8", "--codebook-size", "8")),
    ],
)
def test_adapt_says_nothing_of_what_this_backbone_has_a_use_for(
    vqrec: Vqrec, tmp_path: Path, tables: TableKind, options: tuple[str, ...]
) -> None:
    where = ("--backbone", _backbone_with(tables, tmp_path), "--domain", "shop", "--out", tmp_path / "out")
    done = vqrec("adapt", "--data", tmp_path, *where, *options)
    assert (done.status, done.out) == (1, "")
    assert "has no items.parquet" in done.err
    assert "no effect" not in done.err


def _backbone_with(tables: TableKind, folder: Path) -> Path:
    """A backbone that says it has such tables."""
    tiny = write_tiny_store(folder / "tiny").backbone
    if tables == tiny.manifest.tables:
        return tiny.path
    layout = LayoutManifest(num_codebooks=8, codebook_size=8)
    manifest = tiny.manifest.model_copy(update={"tables": tables, "layout": layout})
    return write_bundle(folder, manifest, {name: tiny.read_bytes(name) for name in tiny.manifest.files}).path


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("adapt --zero-shot --epochs 30", "--zero-shot trains nothing: no effect of --epochs\n"),
        ("adapt --zero-shot --patience 4", "no effect of --patience\n"),
        ("adapt --zero-shot --learning-rate 1", "no effect of --learning-rate\n"),
        ("adapt --zero-shot --alignment-epochs 0", "no effect of --alignment-epochs\n"),
        (
            "adapt --quantizer-of . --codebooks 32",
            "--quantizer-of keeps the item codes there are: no effect of --codebooks\n",
        ),
        ("adapt --quantizer-of . --zero-shot --codebook-size 8", "no effect of --codebook-size\n"),
        ("train --zero-shot --epochs 30 --patience 4", "no effect of --epochs and --patience\n"),
        ("train --zero-shot --learning-rate 1", "no effect of --learning-rate\n"),
        ("train --zero-shot --network-rate 0", "no effect of --network-rate\n"),
        ("pretrain --tables permuted --fingerprints 1", "have no fingerprints: no effect of --fingerprints\n"),
    ],
)
def test_what_has_no_effect_is_said(vqrec: Vqrec, tmp_path: Path, call: str, complaint: str) -> None:
    command, *options = call.split()
    domain = () if command == "pretrain" else ("--domain", "shop")
    backbone = ("--backbone", tmp_path) if command == "adapt" else ()
    done = vqrec(command, "--data", tmp_path, *backbone, *domain, "--out", tmp_path / "out", *options)
    assert done.status == 1  # there is nothing in the folder
    assert complaint in done.err
    assert done.err.count("no effect") == 1


@pytest.mark.parametrize(
    "call",
    [
        "adapt --zero-shot --codebooks 8 --codebook-size 8 --seed 1",
        "train --zero-shot --codebooks 8 --fingerprints 0 --seed 1 --max-history 8",
        "pretrain --tables permuted --fingerprints 0",
        "pretrain --tables shared --fingerprints 2 --drawn-negatives 0",
    ],
)
def test_nothing_is_said_of_what_has_an_effect(vqrec: Vqrec, tmp_path: Path, call: str) -> None:
    command, *options = call.split()
    domain = () if command == "pretrain" else ("--domain", "shop")
    backbone = ("--backbone", write_tiny_store(tmp_path / "tiny").backbone.path) if command == "adapt" else ()
    done = vqrec(command, "--data", tmp_path, *backbone, *domain, "--out", tmp_path / "out", *options)
    assert (done.status, done.out) == (1, "")
    assert "has no items.parquet" in done.err
    assert "no effect" not in done.err
