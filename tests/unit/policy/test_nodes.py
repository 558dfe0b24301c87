"""`nodes`, `whenContested`, `cost` and GpuBudget, compiled."""

from __future__ import annotations

import pytest

from autoscaler.model import (
    BudgetShare,
    CapacityBuffer,
    Cost,
    GkePool,
    GpuBudget,
    Nodes,
    PlaceholderPods,
    ScaledPool,
    WhenContested,
)
from autoscaler.policy import load_texts
from tests.unit.policy.texts import load_text, policy_text

BUDGET = """\
apiVersion: triton-autoscaler/v1alpha1
kind: GpuBudget
metadata: {name: shared, namespace: ml}
spec:
  gpus: 8
  policies:
    - {name: flower, namespace: default, priority: 10, floor: 2}
"""


def scaled(nodes: str) -> str:
    return policy_text("mode: scale", f"nodes: {nodes}")


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("{capacityBuffer: {}}", CapacityBuffer("flower-spare")),
        ("{capacityBuffer: {name: warm}}", CapacityBuffer("warm")),
        (
            "{placeholderPods: {priorityClass: low, image: pause}}",
            PlaceholderPods("flower-spare", "low", "pause"),
        ),
        (
            "{scale: {apiVersion: karpenter.sh/v1, kind: NodePool, name: gpu}}",
            ScaledPool("karpenter.sh/v1", "NodePool", "gpu"),
        ),
        (
            "{gke: {project: p, location: l, cluster: c, pool: n}}",
            GkePool("p", "l", "c", "n"),
        ),
    ],
)
def test_each_driver_is_read(driver: str, expected: object) -> None:
    found = load_text(scaled(f"{{spare: 1, gpusPerNode: 4, driver: {driver}}}"))
    assert [p for p in found.problems if p.severity == "error"] == []
    (policy,) = found.policies
    assert policy.nodes == Nodes(driver=expected, gpus_per_node=4, spare=1)  # type: ignore[arg-type]


def test_a_driver_may_be_named_without_a_body() -> None:
    text = policy_text("mode: scale", "nodes:\n  spare: 1\n  driver:\n    capacityBuffer:")
    (policy,) = load_text(text).policies
    assert policy.nodes is not None
    assert policy.nodes.driver == CapacityBuffer("flower-spare")


def test_contest_and_cost_reach_the_policy() -> None:
    text = policy_text("whenContested: {then: refuse, for: 5m}", "cost: {gpuHour: 0.54}")
    (policy,) = load_text(text).policies
    assert policy.when_contested == WhenContested("refuse", 300.0)
    assert policy.cost == Cost(0.54, "USD")
    (plain,) = load_text(policy_text()).policies
    assert plain.when_contested == WhenContested("yield", 600.0)


def test_a_budget_stands_beside_the_policies_it_names() -> None:
    found = load_texts({"flower.yaml": policy_text(), "budget.yaml": BUDGET})
    assert found.ok
    assert found.budgets == (GpuBudget("ml", "shared", 8, (BudgetShare("default/flower", 10, 2),)),)


def test_a_wrong_budget_takes_the_whole_set_back() -> None:
    found = load_texts({"flower.yaml": policy_text(), "budget.yaml": BUDGET.replace("8", "none")})
    assert not found.ok
    assert not found.policies
    assert not found.budgets


def test_a_field_of_the_other_kind_is_not_known_here() -> None:
    found = load_texts({"f.yaml": policy_text(), "b.yaml": BUDGET + "  whenBlind: {}\n"})
    assert [p.check for p in found.problems] == ["unknown-field"]
    assert "known here: gpus, policies" in found.problems[0].remedy
