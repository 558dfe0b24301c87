"""Alerts and the dashboard speak of metrics that exist, and each alert has its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest

from autoscaler.run.faults import Cause
from autoscaler.serve.telemetry import FIGURES, PREFIX, Telemetry
from tests.unit.manifests.shipped import MANIFESTS, RUNBOOKS, alerts
from tests.unit.serve.shown import DECISION, board

NAME = re.compile(rf"\b{PREFIX}\w+")
LABELS = re.compile(r"\b(?:by|on) \(([^)]*)\)|[{,]\s*(\w+)\s*(?:=~|!~|!=|=)")
OF_SCRAPES = {"pod", "le"}


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Every sample that the daemon can export, with its labels."""
    figures = dict.fromkeys((*FIGURES, "oldestSample"), 1.0)
    telemetry = Telemetry(board(replace(DECISION, figures=figures)), lambda: 1003.0)
    telemetry.causes(get_args(Cause))
    telemetry.observe(0.1, {"read": 0.1}, ["source"], ["scale"], "dry-run")
    return {
        sample.name: set(sample.labels)
        for family in telemetry.registry.collect()
        for sample in family.samples
    }


def dashboard() -> dict[str, Any]:
    text = (MANIFESTS / "components/monitoring/dashboard.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for alert in alerts():
        yield alert["alert"], alert["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_is_one_that_we_export(
    exported: dict[str, set[str]], where: str, expression: str
) -> None:
    names = set(NAME.findall(expression))
    assert names, f"{where} asks for nothing of ours"
    assert names <= exported.keys()
    known = set.union(OF_SCRAPES, *(exported[name] for name in names))
    groups = [group for match in LABELS.findall(expression) for group in match if group]
    asked = {label.strip() for group in groups for label in group.split(",")}
    assert asked <= known


def test_causes_in_alerts_are_causes() -> None:
    asked = {
        cause
        for alert in alerts()
        for match in re.findall(r'cause!?=~"([^"]+)"', alert["expr"])
        for cause in match.split("|")
    }
    assert asked <= set(get_args(Cause))


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: alert["alert"])
def test_every_alert_says_what_is_wrong_and_has_a_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"]
    page = RUNBOOKS / alert["annotations"]["runbook_url"].rpartition("/runbooks/")[2]
    assert page.read_text().startswith(f"# {alert['alert']}\n")
    assert f"[{alert['alert']}]({page.name})" in (RUNBOOKS / "README.md").read_text()


def test_no_runbook_outlives_its_alert() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    named = {alert["annotations"]["runbook_url"].rpartition("/")[2] for alert in alerts()}
    assert pages == named


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
