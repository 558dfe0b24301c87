"""The replica arithmetic against 619 answers of the real HPA (Kubernetes v1.36.3).

Left out, as issue and oracle allow: `saturation` and `negative_values` (int64 overflow and
negative metrics) and the Resource functions (CPU and memory, which this autoscaler does not read).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoscaler.decide import hpa

LEFT_OUT_KINDS = {"saturation", "negative_values"}
LEFT_OUT_FUNCTIONS = {"resource_utilization", "resource_average"}
ALL = [
    json.loads(line) for line in (Path(__file__).parent / "replicas.jsonl").read_text().splitlines()
]
CASES = [
    case
    for case in ALL
    if case["kind"] not in LEFT_OUT_KINDS and case["fn"] not in LEFT_OUT_FUNCTIONS
]


def test_nearly_all_vectors_are_in() -> None:
    assert len(ALL) == 619
    assert len(CASES) >= 350


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_replicas_as_the_real_hpa(case: dict[str, Any]) -> None:
    want = case["want"]
    got = calculate(case)
    if "error" in want:
        assert got == hpa.Failed(want["error"])
        return
    assert isinstance(got, hpa.Proposed)
    assert (got.replicas, got.usage_milli) == (want["replicas"], want["usage_milli"])


def calculate(case: dict[str, Any]) -> hpa.Proposed | hpa.Failed:
    pods = [
        hpa.PodSample(
            pod["name"],
            pod.get("value"),
            phase=pod.get("phase", "Running"),
            ready=pod.get("ready", "True") == "True",
            deleting=pod.get("deleting", False),
        )
        for pod in case.get("pods", [])
    ]
    tolerance = hpa.Tolerance(**case["tolerance"])
    target = case["target_milli"]
    if case.get("fetch_error"):
        return hpa.Failed("metric_unavailable")
    if case["fn"] == "pods_average":
        return hpa.pods_average(case["current"], target, tolerance, pods, case.get("ghosts"))
    values = case["values_milli"]
    if not values:
        return hpa.Failed("metric_unavailable")
    if case["fn"].endswith("_value"):
        return hpa.value(case["current"], target, tolerance, sum(values), pods)
    return hpa.average_value(case["status"], target, tolerance, sum(values))
