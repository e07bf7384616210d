"""The alerts and the dashboard, as they stand in their files."""

import json
from typing import Any

import yaml

from tests.docker.dockerfiles import REPOSITORY

PROMETHEUS = REPOSITORY / "docker" / "prometheus"


def rules() -> list[dict[str, Any]]:
    """The alerts of all groups."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    loaded: dict[str, Any] = json.loads((REPOSITORY / "docker" / "grafana" / "vqrec.json").read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Those of its panels that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
