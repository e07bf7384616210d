"""The runbook has an answer to each alert, and names what there is."""

import re
from pathlib import Path

import click

from models.command_line import cli
from service.app import create_app
from service.settings import Settings, environment_name
from tests.docker.dockerfiles import REPOSITORY
from tests.docker.monitoring import rules

RUNBOOK = REPOSITORY / "docs" / "runbook.md"
PARTS = ["Means", "Look", "Do", "Do not"]
RULES = rules()


def test_alerts_and_sections_of_the_runbook_are_the_same() -> None:
    alerts = [rule["alert"] for rule in RULES]
    assert len(set(alerts)) == len(alerts)
    assert sorted(alerts) == sorted(_headings(RUNBOOK))
    for rule in RULES:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert REPOSITORY / page == RUNBOOK
        assert anchor == _anchor(rule["alert"])


def test_every_section_of_the_runbook_has_all_its_parts() -> None:
    for section in RUNBOOK.read_text().split("\n## ")[1:]:
        assert re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.MULTILINE) == PARTS, section.splitlines()[0]


def test_the_runbook_names_calls_commands_settings_and_log_lines_that_exist() -> None:
    text = RUNBOOK.read_text()
    paths = create_app(Settings()).openapi()["paths"]
    called = set(re.findall(r"(?:\$URL|GET |PUT |POST |DELETE )(/[\w/{}$:.]+)", text))
    assert called
    for path in called:
        assert path.replace("$DOMAIN", "{domain}") in paths, path
    assert set(re.findall(r"vqrec (\w+)(?= --|`)", text)) <= set(cli.list_commands(click.Context(cli)))
    variables = {environment_name(name) for name in Settings.model_fields}
    assert set(re.findall(r"VQREC_[A-Z_]+", text)) <= variables
    folders = (REPOSITORY / "service", REPOSITORY / "models")
    source = "".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    quoted = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text)) - {"maxmemory-policy"}
    assert {name for name in quoted if f'"{name}"' not in source} == set()


def test_links_of_the_runbook_lead_to_headings() -> None:
    for page, anchor in re.findall(r"\]\(([\w./]*)#([\w-]+)\)", RUNBOOK.read_text()):
        target = RUNBOOK.parent / page if page else RUNBOOK
        assert anchor in {_anchor(heading) for heading in _headings(target)}, (page, anchor)


def _headings(page: Path) -> list[str]:
    return re.findall(r"^##+ (.+)$", page.read_text(), re.MULTILINE)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
