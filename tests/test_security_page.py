"""Every threat that the security page names has something against it, and a test that there is."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "security.md").read_text()
HEAD = ("threat", "what stands against it", "shown by")


def rows() -> list[tuple[str, ...]]:
    """The cells of each row of the table of threats, its head first."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]


THREATS = rows()[2:]


@cache
def collected(module: str) -> frozenset[str]:
    """The tests that a module defines, as pytest collects them."""
    path = REPOSITORY / module
    if not path.is_file() or not path.name.startswith("test_"):
        return frozenset()
    defined = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return frozenset(node.name for node in defined if node.name.startswith("test_"))


def test_the_table_is_there() -> None:
    assert rows()[0] == HEAD
    assert len(THREATS) > 30


@pytest.mark.parametrize("row", THREATS, ids=lambda row: row[0][:60])
def test_every_threat_has_a_defence_and_a_test_that_exists(row: tuple[str, ...]) -> None:
    threat, defence, shown_by = row
    assert threat
    assert defence
    named = shown_by.split("<br>")
    assert all(re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", each) for each in named)
    for each in named:
        module, _, name = each.strip("`").partition("::")
        assert name in collected(module), each


def test_no_threat_is_told_twice() -> None:
    assert len({threat for threat, *_ in THREATS}) == len(THREATS)


def test_what_is_not_defended_is_said() -> None:
    assert len(re.findall(r"^- \*\*", PAGE.split("## What is not defended")[1], re.MULTILINE)) >= 5
