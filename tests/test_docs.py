"""The documentation names what there is, all of it and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
from fastapi import FastAPI
from prometheus_client import Metric

from models.command_line import cli
from models.errors import VqrecError
from models.manifest import AdapterManifest, BackboneManifest, TextEncoderManifest
from service.app import create_app
from service.metrics import Metrics
from service.settings import Settings, environment_name

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *DOCS.rglob("*.md")])
OFFLINE_ERRORS = ("training",)  # these reach a terminal and never a client of the service


def test_every_setting_is_described_with_its_default_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", _read("configuration.md"), re.MULTILINE))
    defaults = {environment_name(name): field.default for name, field in Settings.model_fields.items()}
    assert rows.keys() == defaults.keys()
    for name, default in defaults.items():
        shown = rows[name].strip("`")
        assert shown == {None: "unset", (): "none"}.get(default, str(default)), name


def test_every_command_is_described_with_its_options_and_no_other() -> None:
    sections = re.split(r"^## vqrec (\w+)$", _read("cli.md"), flags=re.MULTILINE)[1:]
    described = dict(zip(sections[::2], sections[1::2], strict=True))
    context = click.Context(cli)
    assert list(described) == sorted(cli.list_commands(context), key=list(described).index)
    for name, text in described.items():
        command = cli.get_command(context, name)
        assert command is not None
        options = {parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option)}
        if name != "pretrain":  # which has those of train, and says so
            assert set(re.findall(r"`(--[a-z-]+)`", text)) == options, name


def test_every_command_is_in_the_readme() -> None:
    named = re.findall(r"^\| `vqrec (\w+)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("page", ["README.md", "docs/rest.md"])
def test_every_call_is_in_the_table_of_calls_and_no_other(page: str) -> None:
    rows = re.findall(r"^\| (`(?:GET|PUT|POST|PATCH|DELETE)\b.*?) \|", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert {call for row in rows for call in _calls(row)} == set(_routes(create_app(Settings())))


def test_every_problem_is_described_and_no_other() -> None:
    table = _read("rest.md").split("## Errors")[1]
    described = {
        slug for row in re.findall(r"^\| \d.*$", table, re.MULTILINE) for slug in re.findall(r"`([a-z-]+)`", row)
    }
    of_the_framework = {"not-found", "method-not-allowed"}
    fields = {"errors", "explain"}
    assert described - of_the_framework - fields == {error.slug for error in _served_errors(VqrecError)}
    assert of_the_framework <= described


def test_every_example_is_headed_by_its_call_and_ends_as_the_call_may() -> None:
    schema = create_app(Settings()).openapi()["paths"]
    paths = {re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): path for path in schema}
    examples = [block for block in _fenced("rest.md") if re.search(r"^\d{3}$", block, re.MULTILINE)]
    assert len(examples) > 10
    for example in examples:
        request, status, answer = re.split(r"^(\d{3})\n", example, flags=re.MULTILINE)
        call = re.match(r"(GET|PUT|POST|PATCH|DELETE) (/[^ ?\n]+)\S*\n", request)
        assert call is not None, example
        (path,) = (known for pattern, known in paths.items() if pattern.fullmatch(call[2]))
        assert status in schema[path][call[1].lower()]["responses"], example
        for document in _documents(request[call.end() :]) + _documents(answer):
            assert isinstance(document, dict)


def test_every_metric_is_described_and_no_other() -> None:
    described = set(re.findall(r"^\| `(vqrec_\w+)` \|", _read("operations.md"), re.MULTILINE))
    collected: list[Metric] = list(Metrics().registry.collect())
    ours = [metric for metric in collected if metric.name.startswith("vqrec_")]
    assert described == {metric.name + ("_total" if metric.type == "counter" else "") for metric in ours}


@pytest.mark.parametrize("manifest", [TextEncoderManifest, BackboneManifest, AdapterManifest])
def test_every_field_of_a_manifest_is_described(
    manifest: type[TextEncoderManifest] | type[BackboneManifest] | type[AdapterManifest],
) -> None:
    kind = get_args(manifest.model_fields["kind"].annotation)[0]
    common = {"format_version", "kind", "files", "made_with"}
    row = re.search(rf"^\| `{kind}` \| (.*) \|$", _read("artifacts.md"), re.MULTILINE)
    assert row is not None
    assert manifest.model_fields.keys() - common <= set(re.findall(r"`(\w+)`", row[1]))
    assert common <= set(re.findall(r"`(\w+)`", _read("artifacts.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)?(?:#[^)]*)?\)", page.read_text()):
        assert not target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_fences_are_closed(page: Path) -> None:
    assert len(re.findall(r"^```", page.read_text(), re.MULTILINE)) % 2 == 0


def _read(page: str) -> str:
    return (DOCS / page).read_text()


def _fenced(page: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", _read(page), re.MULTILINE | re.DOTALL)
    return [block for language, block in blocks if not language]


def _documents(text: str) -> list[object]:
    """The JSON documents of an example, behind its headers; anything else beside them fails."""
    rest, found = re.sub(r"^[A-Z][\w-]+: .*\n", "", text, flags=re.MULTILINE).strip(), []
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


def _calls(row: str) -> Iterator[tuple[str, str]]:
    """The calls of a row; a method without a path has that of the next: `GET` `PUT /a` are two calls."""
    methods: list[str] = []
    for method, path in re.findall(r"`(GET|PUT|POST|PATCH|DELETE)(?: (/[^`?]*)[^`]*)?`", row):
        methods.append(method)
        if path:
            yield from ((each, path) for each in methods)
            methods = []


def _routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), path


def _served_errors(error: type[VqrecError]) -> Iterator[type[VqrecError]]:
    if not error.__module__.startswith(OFFLINE_ERRORS):
        yield error
    for child in error.__subclasses__():
        yield from _served_errors(child)
