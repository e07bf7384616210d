"""The alerts and the dashboard ask for what the service exports."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.docker.dockerfiles import REPOSITORY
from tests.docker.monitoring import PROMETHEUS, dashboard, panels, rules
from tests.docker.promql import MalformedExpressionError, Selector, grouping_labels, is_aggregated, selectors
from tests.running_service import RunningService, make_settings, running_service, until
from tests.tiny_models import write_tiny_adapter, write_tiny_store

OF_PROMETHEUS = ("up", "scrape_duration_seconds")  # it makes these itself, for every target
TARGET_LABELS = {"job", "instance"}
OF_GRAFANA = {"__rate_interval"}
SEVERITIES = {"page", "ticket"}
TEXT_QUEUE = 256
KEY = "a-key-with-a-last-day-of-forty-characters"
STATUSES = [*(str(status.value) for status in HTTPStatus), "499"]


@dataclass(frozen=True)
class Exported:
    """What a service at work exported: series ─► label ─► the values that occurred."""

    values: dict[str, dict[str, set[str]]]

    def labels(self, series: str) -> set[str]:
        """The names of its labels; none if there is no such series."""
        return set(self.values.get(series, {}))


def _expressions() -> Iterator[tuple[str, str]]:
    """Where it stands ─► expression, of the alerts, the panels and the dashboard's variables."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"])
            assert query is not None, variable["name"]
            yield f"variable {variable['name']}", query[1]


EXPRESSIONS = list(_expressions())
RULES, PANELS = rules(), panels()
each_expression = pytest.mark.parametrize("expression", [pytest.param(e, id=where) for where, e in EXPRESSIONS])
each_rule = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
each_panel = pytest.mark.parametrize("panel", [pytest.param(panel, id=panel["title"]) for panel in PANELS])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("service")
    pages = asyncio.run(_pages_of_a_life(folder))
    values: dict[str, dict[str, set[str]]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                of_series = values.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    of_series.setdefault(label, set()).add(value)
    return Exported(values)


async def _pages_of_a_life(folder: Path) -> list[str]:
    """``/metrics`` after every kind of request, and after a start at which the adapter of a domain is damaged."""
    store = write_tiny_store(folder / "artifacts")
    other = write_tiny_adapter(store, seed=1, domain="garden")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys = f"name=shop sha256={digest} scopes=read,ingest,admin expires=9998-12-31"
    settings = make_settings(store.root, folder / "data", text_queue_size=TEXT_QUEUE, api_keys=keys)
    async with running_service(settings, **{"X-API-Key": KEY}) as service:
        await service.until_ready()
        await service.serve(store.adapter)
        await service.serve(other, "garden")
        await _use(service)
        first = await _page(service)
    (other.path / "adapter.safetensors").unlink()
    async with running_service(settings) as service:
        await service.until_ready()
        return [first, await _page(service)]


async def _use(service: RunningService) -> None:
    await service.put_items({"hammer": "a hammer", "saw": "a saw"})
    await service.recommend(["hammer"])
    items = "/v1/domains/shop/items"
    for method, path, body in (
        ("POST", "/v1/domains/shop/recommendations:batch", {"requests": [{"history": ["saw"]}]}),
        ("GET", f"{items}/hammer/similar", None),
        ("PUT", f"{items}/plane", {"text": "a plane"}),
        ("PATCH", f"{items}/plane", {"available": False}),
        ("DELETE", f"{items}/plane", None),
    ):
        assert (await service.http.request(method, path, json=body)).is_success, path

    async def refused() -> bool:
        unseen = {"requests": [{"history": [{"text": f"text {n}"}]} for n in range(TEXT_QUEUE)]}
        calls = [service.http.post("/v1/domains/shop/recommendations:batch", json=unseen) for _ in range(4)]
        return 429 in {answer.status_code for answer in await asyncio.gather(*calls)}

    await until(refused)


async def _page(service: RunningService) -> str:
    await service.http.get("/metrics")  # which is counted once it is answered
    return (await service.http.get("/metrics")).text


@each_expression
def test_every_series_is_exported_with_the_labels_that_are_asked_for(expression: str, exported: Exported) -> None:
    found = selectors(expression)
    assert found
    for selector in found:
        if selector.name in OF_PROMETHEUS:
            assert {matcher.label for matcher in selector.matchers} <= TARGET_LABELS
            continue
        assert selector.name in exported.values
        assert {matcher.label for matcher in selector.matchers} <= exported.labels(selector.name) | TARGET_LABELS


@each_expression
def test_every_matcher_matches_something_that_occurs(expression: str, exported: Exported) -> None:
    for selector in selectors(expression):
        for matcher in selector.matchers:
            if matcher.label in TARGET_LABELS:
                continue
            seen = exported.values[selector.name].get(matcher.label, set())
            occurring = STATUSES if matcher.label == "status" else seen
            for alternative in matcher.alternatives():
                assert any(re.fullmatch(alternative, value) for value in occurring), (matcher, sorted(occurring))


@each_expression
def test_labels_to_group_by_are_labels_of_what_is_grouped(expression: str, exported: Exported) -> None:
    assert grouping_labels(expression) <= _labels_of(expression, exported) | TARGET_LABELS
    if "histogram_quantile" in expression:
        assert "le" in grouping_labels(expression)


@each_rule
def test_an_alert_says_how_urgent_it_is_and_where_to_read_on(rule: dict[str, Any], exported: Exported) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "runbook"}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert shown <= _labels_of_result(rule["expr"], exported)


def test_every_alert_is_made_to_fire_by_a_rule_test() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    samples = [sample for test in tests for each in test["promql_expr_test"] for sample in each["exp_samples"]]
    fired = {name for sample in samples for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
    assert fired == {rule["alert"] for rule in RULES}


def test_rule_tests_feed_series_that_are_exported(exported: Exported) -> None:
    for test in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]:
        for series in test["input_series"]:
            (selector,) = selectors(series["series"])
            labels = {matcher.label for matcher in selector.matchers} - TARGET_LABELS
            assert selector.name in OF_PROMETHEUS or labels == exported.labels(selector.name), series["series"]


def test_prometheus_reads_the_alerts_and_scrapes_every_replica_of_the_compose_file() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"]
    assert all((PROMETHEUS / name).is_file() for name in config["rule_files"])
    assert job["job_name"] in {m.pattern for r in RULES for s in selectors(r["expr"]) for m in s.matchers}
    assert target["targets"] == [f"{name}:8000" for name in compose["services"] if name.startswith("service-")]


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    cells = [cell for panel in everything for cell in _cells(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@each_panel
def test_a_panel_takes_its_data_from_the_source_that_is_chosen(panel: dict[str, Any], exported: Exported) -> None:
    assert panel["type"] == "timeseries"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= _labels_of_result(target["expr"], exported)


def test_the_dashboard_uses_the_variables_that_it_has() -> None:
    defined = {variable["name"] for variable in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard()))) - {"__all"}
    assert used == defined | OF_GRAFANA


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(MalformedExpressionError):
        selectors('vqrec_redis_up{job="vqrec"')
    with pytest.raises(MalformedExpressionError):
        selectors('vqrec_redis_up{job~"vqrec"}')
    assert selectors("sum by (job) (rate(a_total[5m])) / on (job) b offset 1h > bool 2 and c") == [
        Selector("a_total", ()),
        Selector("b", ()),
        Selector("c", ()),
    ]


def _labels_of(expression: str, exported: Exported) -> set[str]:
    return {label for selector in selectors(expression) for label in exported.labels(selector.name)}


def _labels_of_result(expression: str, exported: Exported) -> set[str]:
    """What a template may show: the labels that are grouped by, or all of them where nothing is aggregated."""
    if is_aggregated(expression):
        return grouping_labels(expression) - {"le"}
    return (_labels_of(expression, exported) | TARGET_LABELS) - {"le"}


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
