"""What is installed is pinned, and `make audit` cannot pass by asking nothing."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
MAKEFILE = (REPOSITORY / "Makefile").read_text()


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    listed = [project["dependencies"], PROJECT["build-system"]["requires"], *project["optional-dependencies"].values()]
    return [Requirement(each) for group in listed for each in group]


def constraints() -> dict[str, str]:
    pins = [line.partition("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines()]
    assert all(separator for _, separator, _ in pins)
    return {canonicalize_name(name): version for name, _, version in pins}


def rule(target: str) -> str:
    """What a target depends on and does."""
    found = re.search(rf"^{target}:(.*\n(?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert found is not None
    return found[1]


def test_everything_that_is_installed_is_pinned() -> None:
    for requirement in requirements():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement


def test_the_constraints_agree_with_the_project() -> None:
    pins = constraints()
    for requirement in requirements():
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned is None or str(requirement.specifier) == f"=={pinned}", requirement


def test_the_constraints_name_nothing_twice() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    assert len(constraints()) == len(lines)


def test_an_audit_that_could_not_ask_fails() -> None:
    assert "--strict" in rule("audit")
    assert not re.search(r"^\t-|\|\||; *true", rule("audit"), re.MULTILINE)  # nothing that lets a failure pass
    assert rule("audit").rstrip().endswith("exit 1; fi")
    assert rule("audit").index("sbom.json") < rule("audit").index("pip-audit --requirement")


def test_every_exception_has_a_reason() -> None:
    for line in (REPOSITORY / "audit-ignore.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"(?:CVE|GHSA|PYSEC|OSV)-[\w-]+ \S.{20,}", line), line


def test_the_bill_of_materials_is_made_and_not_committed() -> None:
    assert "-o sbom.json" in rule("audit")
    assert "/sbom.json" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_testing_asks_nobody() -> None:
    assert "audit" not in rule("test") + rule("check") + rule("lint")
