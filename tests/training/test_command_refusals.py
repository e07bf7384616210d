"""What the offline commands refuse: with a line that says why, before anything is done."""

from pathlib import Path

import pytest

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
