"""Timelines of the real HPA (Kubernetes v1.36.3), played through `decide` itself.

A timeline becomes a policy with `metric` objectives whose queries read what the vector says; the
size after each step must be the controller's. Left out, as issue and oracle allow: `int32_wrap`
(we do not wrap) and `scale_to_zero` (an alpha gate), also where a `named` case shows one of them.
Timelines whose controller runs with a downscale stabilization other than 300 s, which is not a
setting of ours, are checked on the stages alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoscaler.decide import behavior, decide
from autoscaler.decide.memory import settle
from autoscaler.model import (
    Behavior,
    Bounds,
    Cooldown,
    Metric,
    Missing,
    Observation,
    Policy,
    Recommendation,
    Replicas,
    Sample,
    ScaleEvent,
    ScalingPolicy,
    ScalingRules,
    Sla,
    State,
    Target,
)

LEFT_OUT = {"int32_wrap", "scale_to_zero"}
ALL = [
    json.loads(line) for line in (Path(__file__).parent / "behavior.jsonl").read_text().splitlines()
]


def wraps(case: dict[str, Any]) -> bool:
    return '"value": 2147483647' in json.dumps(case)


CASES = [
    case
    for case in ALL
    if case["kind"] not in LEFT_OUT and not case.get("scale_to_zero_gate") and not wraps(case)
]
WHOLE = [case for case in CASES if case["downscale_stabilization_s"] == 300]


def test_nearly_all_timelines_are_in() -> None:
    assert len(ALL) == 629
    assert len(CASES) == 606
    assert len(WHOLE) == 575


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["id"])
def test_decide_follows_the_real_hpa(case: dict[str, Any]) -> None:
    size, state = case["start"], State()
    spec = {"min": case["min"], "max": case["max"], "behavior": case["behavior"]}
    for step in case["steps"]:
        if "set" in step:
            # The daemon sees its own change before somebody else makes another one.
            state = settle(state, size, step["t"])
            size = step["set"]
        spec |= {key: step[key] for key in ("min", "max", "behavior") if key in step}
        policy = to_policy(case, spec)
        decision, state = decide(policy, to_observation(case, step, size), state, step["t"])
        assert decision.desired == step["want"]["desired"], decision.sentence
        size = step["want"]["desired"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_stages_agree_with_the_real_hpa_on_value_and_reason(case: dict[str, Any]) -> None:
    size, downscale = case["start"], case["downscale_stabilization_s"]
    history: tuple[Recommendation, ...] = ()
    ups: tuple[ScaleEvent, ...] = ()
    downs: tuple[ScaleEvent, ...] = ()
    spec = {"min": case["min"], "max": case["max"], "behavior": case["behavior"]}
    for step in case["steps"]:
        now, want = step["t"], step["want"]
        size = step.get("set", size)
        spec |= {key: step[key] for key in ("min", "max", "behavior") if key in step}
        rules, bounds = to_behavior(spec["behavior"]), Bounds(spec["min"], spec["max"])
        history = history or (Recommendation(now, size),)
        raw = want["raw"] if "raw" in want else step.get("raw")
        if want["stab"] is not None:
            raw = max(raw, 0)
            stable = behavior.stabilize(rules, history, size, raw, now, downscale)
            assert (stable.replicas, stable.reason) == (want["stab"], want["stab_reason"])
            limited = behavior.limit(rules, ups, downs, size, stable.replicas, bounds, now)
            assert (limited.replicas, limited.reason) == (want["desired"], want["limit"])
            history = behavior.remember(rules, history, raw, now, downscale)
        change = want["desired"] - size
        period = behavior.longest_period(rules, growing=change > 0)
        if change > 0:
            ups = behavior.record(ups, change, now, period)
        elif change < 0:
            downs = behavior.record(downs, -change, now, period)
        size = want["desired"]


def to_policy(case: dict[str, Any], spec: dict[str, Any]) -> Policy:
    count = case.get("metrics", 1)
    target = case["target_milli"] / 1000 if case["mode"] == "usage" else 1.0
    tolerances = case.get("tolerance", {"up": 0.0, "down": 0.0})
    rules = to_behavior(spec["behavior"], tolerances)
    tolerance = tolerances["up"] if rules is None else 0.0
    return Policy(
        namespace="default",
        name="oracle",
        target=Target("default", "oracle"),
        replicas=Bounds(spec["min"], spec["max"]),
        sla=Sla(),
        objectives=tuple(
            Metric(f"metric-{n}", "q", average_value=target, tolerance=tolerance)
            for n in range(count)
        ),
        behavior=rules,
        cooldown=Cooldown(0.0, 0.0),
    )


def to_behavior(
    spec: dict[str, Any] | None, tolerance: dict[str, float] | None = None
) -> Behavior | None:
    if spec is None:
        return None
    return Behavior(
        _rules(spec["scaleUp"], (tolerance or {}).get("up")),
        _rules(spec["scaleDown"], (tolerance or {}).get("down")),
    )


def _rules(spec: dict[str, Any], tolerance: float | None) -> ScalingRules:
    policies = tuple(
        ScalingPolicy(p["type"], p["value"], p["periodSeconds"]) for p in spec["policies"]
    )
    return ScalingRules(
        spec["stabilizationWindowSeconds"], policies, spec["selectPolicy"], tolerance
    )


def to_observation(case: dict[str, Any], step: dict[str, Any], size: int) -> Observation:
    if case["mode"] == "usage":
        values = [None if step["usage_milli"] is None else step["usage_milli"] / 1000]
    else:
        values = step["raws"] if case["mode"] == "multi" else [step["raw"]]
    return Observation(
        policy="default/oracle",
        at=step["t"],
        replicas=Replicas(size, size),
        metrics={
            f"metric-{n}": Missing("outage") if v is None else Sample(max(v, 0), step["t"])
            for n, v in enumerate(values)
        },
    )
