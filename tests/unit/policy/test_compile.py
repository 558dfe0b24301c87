"""Document → policy: defaults, base units, identity."""

from __future__ import annotations

import pytest

from autoscaler.model import (
    Behavior,
    Capacity,
    Cooldown,
    Demand,
    DutyCycle,
    Forecast,
    GpuPower,
    Metric,
    QueueTime,
    ScalingPolicy,
    ScalingRules,
    Schedule,
    Sla,
    Target,
    WhenBlind,
)
from autoscaler.policy import load_texts
from autoscaler.policy.compile import HPA_DEFAULTS
from autoscaler.wire import from_json, to_json
from tests.unit.policy.texts import HEAD, compiled, load_text, policy_text


def test_three_lines_make_a_whole_policy() -> None:
    policy = compiled()
    assert policy.target == Target("default", "flower", "apps/v1", "Deployment")
    assert policy.sla == Sla(queue_time=0.05)
    assert policy.mode == "observe"
    assert policy.objectives == (Demand(60.0), QueueTime(0.05, 0.025, 30.0))
    assert policy.capacity is None
    assert policy.behavior == HPA_DEFAULTS  # as `behavior: {}`, not as an HPA without one
    assert policy.cooldown == Cooldown(0.0, 300.0)
    assert policy.when_blind == WhenBlind(600.0, None)


def test_the_policy_of_the_design_page_compiles_to_what_it_says() -> None:
    policy = compiled(
        "mode: scale",
        "capacity: {models: {resnet50: 340, bert: 45}, headroom: 30%}",
        "objectives:",
        "  - demand: {drainWithin: 2m}",
        "  - queueTime: {raiseAbove: 50ms, lowerBelow: 10ms, for: 1m30s}",
        "  - dutyCycle: {averageUtilization: 70%}",
        "  - gpuPower: {averageUtilization: 0.8, tolerance: 5%}",
        "  - metric: {query: 'sum(rate(x[2m]))', averageValue: '40'}",
        "  - metric: {query: 'up', value: 1500m}",
        "  - schedule: {cron: '0 8 * * MON-FRI', duration: 12h, timezone: Asia/Taipei, min: 3}",
        "  - forecast: {trend: 5m, season: 1d}",
        "cooldown: {scaleDown: 10m}",
        "whenBlind: {hold: 5m, then: {replicas: 4}}",
        "paused: true",
        sla="{queueTime: 50ms, latency: {p99: 100ms, p50: 20ms}, rejected: 0.1%}",
    )
    assert policy.objectives == (
        Demand(120.0),
        QueueTime(0.05, 0.01, 90.0),
        DutyCycle(0.7, 0.1),
        GpuPower(0.8, 0.05),
        Metric("metric-1", "sum(rate(x[2m]))", None, 40.0, 0.1),
        Metric("metric-2", "up", 1.5, None, 0.1),
        Schedule("0 8 * * MON-FRI", 43200.0, "Asia/Taipei", 3),
        Forecast(300.0, 86400.0),
    )
    assert policy.sla == Sla(0.05, ((0.5, 0.02), (0.99, 0.1)), 0.001)
    assert policy.capacity == Capacity("given", None, {"resnet50": 340.0, "bert": 45.0})
    assert (policy.headroom, policy.paused, policy.mode) == (0.3, True, "scale")
    assert policy.cooldown == Cooldown(0.0, 600.0)
    assert policy.when_blind == WhenBlind(300.0, 4)


def test_without_a_queue_time_the_default_is_demand_alone() -> None:
    policy = compiled("capacity: {requestsPerSecond: 340}", sla="{latency: {p99: 100ms}}")
    assert policy.objectives == (Demand(),)
    assert compiled(sla="{rejected: 1%}").objectives == (Demand(),)


def test_headroom_alone_leaves_capacity_to_be_learned() -> None:
    policy = compiled("capacity: {headroom: 30%}")
    assert (policy.capacity, policy.headroom) == (None, 0.3)


def test_behavior_is_filled_in_as_the_api_server_does() -> None:
    up = ScalingRules(0.0, (ScalingPolicy("Pods", 4, 15.0), ScalingPolicy("Percent", 100, 15.0)))
    down = ScalingRules(300.0, (ScalingPolicy("Percent", 100, 15.0),))
    assert compiled("behavior: {}").behavior == Behavior(up, down)
    given = compiled("behavior: {scaleDown: {policies: [{type: Pods, value: 1, period: 1m}]}}")
    assert given.behavior == Behavior(
        up, ScalingRules(300.0, (ScalingPolicy("Pods", 1, 60.0),), "Max")
    )


def test_a_tolerance_belongs_to_one_direction() -> None:
    behavior = compiled("behavior: {scaleUp: {tolerance: 5%, selectPolicy: Min}}").behavior
    assert behavior is not None
    assert (behavior.scale_up.tolerance, behavior.scale_down.tolerance) == (0.05, None)
    assert behavior.scale_up.select_policy == "Min"


@pytest.mark.parametrize(
    ("metadata", "target", "namespaces"),
    [
        ("", "", ("default", "default")),
        ("", ", namespace: serving", ("serving", "serving")),
        (", namespace: team", "", ("team", "team")),
        (", namespace: team", ", namespace: serving", ("team", "serving")),
    ],
)
def test_namespaces_are_taken_over_from_each_other(
    metadata: str, target: str, namespaces: tuple[str, str]
) -> None:
    text = (
        f"{HEAD}metadata: {{name: a{metadata}}}\nspec:\n  target: {{name: b{target}}}\n"
        "  replicas: {min: 1, max: 2}\n  sla: {queueTime: 50ms}\n"
    )
    (policy,) = load_text(text).policies
    assert (policy.namespace, policy.target.namespace) == namespaces
    assert policy.key == f"{namespaces[0]}/a"


def test_comments_and_layout_are_not_part_of_a_policys_hash() -> None:
    (first,) = load_text(policy_text()).policies
    (second,) = load_text(
        "# hello\n" + policy_text().replace("{min: 1, max: 7}", "{max: 7, min: 1}")
    ).policies
    (third,) = load_text(policy_text().replace("max: 7", "max: 8")).policies
    assert first.hash == second.hash != third.hash
    assert len(first.hash) == 12


def test_one_error_keeps_the_whole_set_back() -> None:
    found = load_texts({"a.yaml": policy_text(), "b.yaml": policy_text("mode: x", name="tulip")})
    assert not found.ok
    assert found.policies == ()
    assert (found.files, found.documents) == (2, 2)


def test_a_warning_keeps_nothing_back() -> None:
    found = load_text(policy_text("nodes: {driver: {capacityBuffer: {}}, spare: 1}"))
    assert found.ok
    assert found.problems
    assert found.policies


def test_a_compiled_policy_goes_over_the_wire_and_back() -> None:
    policy = compiled("behavior: {}", "objectives: [demand, {metric: {query: up, value: 3}}]")
    assert from_json(type(policy), to_json(policy)) == policy
