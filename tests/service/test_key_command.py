"""The command that makes keys."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.commands import doctor
from service.key_command import key
from service.security.entries import parse_keys
from tests.tiny_models import TinyStore

LEAST = ["--name", "storefront", "--scopes", "read"]


def test_the_key_is_printed_once_and_its_entry_makes_it_valid() -> None:
    limits = ["--domains", "outdoor,garden", "--rate", "200", "--burst", "400", "--expires", "2099-12-31"]
    outcome = CliRunner().invoke(key, [*LEAST, *limits])
    assert outcome.exit_code == 0
    value, entry = outcome.stdout.splitlines()
    limits_of_entry = "scopes=read domains=garden,outdoor rate=200 burst=400 expires=2099-12-31"
    digest = hashlib.sha256(value.encode()).hexdigest()
    assert entry == f"name=storefront {limits_of_entry} sha256={digest}"
    found = parse_keys(entry).find(value.encode())
    assert found is not None
    assert found.name == "storefront"
    assert value not in entry + outcome.stderr


def test_each_call_makes_another_key() -> None:
    made = {CliRunner().invoke(key, LEAST).stdout.splitlines()[0] for _ in range(3)}
    assert len(made) == 3


def test_a_key_that_callers_have_already_is_hashed_and_not_repeated() -> None:
    value = "a-key-that-callers-have-had-for-years"
    outcome = CliRunner().invoke(key, [*LEAST, "--from-stdin"], input=f"{value}\n")
    assert outcome.exit_code == 0
    assert value not in outcome.output
    assert parse_keys(outcome.stdout).find(value.encode()) is not None


@pytest.mark.parametrize(
    ("options", "given", "says"),
    [
        (["--name", "a b", "--scopes", "read"], None, "--name takes up to 40 letters, digits, '.', '_' and '-', the f"),
        (["--name", "-a", "--scopes", "read"], None, "the first a letter or a digit, such as storefront-1"),
        (["--name", "a" * 41, "--scopes", "read"], None, "--name takes up to 40 letters"),
        (["--name", "a", "--scopes", "read,write"], None, "--scopes takes some of read, ingest, admin, separated by "),
        (["--name", "a b", "--scopes", "write"], None, "storefront-1\n--scopes takes some of"),
        ([*LEAST, "--domains", "My Shop"], None, "--domains takes names of domains, separated by commas, such as out"),
        ([*LEAST, "--rate", "0"], None, "--rate takes requests a second, 0.001 to 1,000,000, such as 50"),
        ([*LEAST, "--rate", "1", "--burst", "0"], None, "--burst takes requests at once, 1 to 1,000,000, such as 100"),
        ([*LEAST, "--burst", "3"], None, "burst says nothing without rate"),
        ([*LEAST, "--expires", "soon"], None, "--expires takes the last day as YYYY-MM-DD, such as 2030-12-31"),
        ([*LEAST, "--expires", "31.12.2099"], None, "--expires takes the last day as YYYY-MM-DD"),
        ([*LEAST, "--expires", "20991231"], None, "--expires takes the last day as YYYY-MM-DD"),
        ([*LEAST, "--expires", "2099-02-30"], None, "--expires takes the last day as YYYY-MM-DD"),
        ([*LEAST, "--expires", "2020-01-31"], None, "--expires 2020-01-31 is past: the key would never be valid"),
        ([*LEAST, "--from-stdin"], "short-and-secret", "32 to 1024 characters"),
        ([*LEAST, "--from-stdin"], "secret " * 8, "without spaces"),
        ([*LEAST, "--from-stdin"], "sécret" * 8, "of ASCII"),
        ([*LEAST, "--from-stdin"], "", "32 to 1024 characters"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_before_a_key_is_shown(
    options: list[str], given: str | None, says: str
) -> None:
    outcome = CliRunner().invoke(key, options, input=given)
    assert outcome.exit_code == 1
    assert says in outcome.output
    assert outcome.stdout == ""
    assert not given or given not in outcome.output


def test_the_doctor_notes_what_is_weak_about_a_key_and_finds_nothing_wrong(tiny: TinyStore, tmp_path: Path) -> None:
    entry = f"name=old sha256={'0' * 64} scopes=admin expires=2020-01-01"
    environment = {"VQREC_API_KEYS": f"short-key:read {'k' * 32}:read {entry}"}
    arguments = ["--artifacts", str(tiny.root), "--data-dir", str(tmp_path), "--port", "0"]
    outcome = CliRunner().invoke(doctor, arguments, env=environment)
    assert outcome.exit_code == 0
    noted = {line.split()[3]: line for line in outcome.output.splitlines() if line.startswith("note  API key ")}
    assert "has 9 characters" in noted["environment#1"]
    assert "stands there itself" in noted["environment#2"]
    assert "expired after 2020-01-01" in noted["old"]
    assert "short-key" not in outcome.output
    assert "k" * 32 not in outcome.output
