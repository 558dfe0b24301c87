"""Who takes part in the comparison: how each is built, what may be tuned, what is turned for cost.

Sizes are relative to a replica's capacity and to the trace's mean, so that a setting means the
same on every trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from autoscaler.model import Behavior, Bounds, Capacity, Policy, ScalingPolicy, ScalingRules, State
from autoscaler.policy import load_texts
from autoscaler.sim.baselines.hpa import Hpa, HpaSettings, Metric
from autoscaler.sim.baselines.keda import Keda, KedaSettings
from autoscaler.sim.baselines.kpa import Kpa, KpaSettings
from autoscaler.sim.scaler import PolicyScaler, Scaler, drive
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.search import CostKnob, Setting
from autoscaler.sim.trace import Trace

# (type, value, seconds) of scaleDown.policies
Rate = tuple[str, int, float]
ALL_AT_ONCE: Rate = ("Percent", 100, 15.0)

HPA_KNOBS: dict[str, Sequence[Any]] = {
    "scaleDownWindow": (300.0, 600.0, 1200.0, 1800.0, 0.0, 60.0, 120.0),
    "queryWindow": (60.0, 120.0, 300.0, 30.0),
    "tolerance": (0.1, 0.05, 0.02),
    "scaleUpWindow": (0.0, 30.0, 60.0),
    "scaleDownRate": (ALL_AT_ONCE, ("Percent", 10, 60.0), ("Pods", 1, 60.0)),
    "minOfMean": (0.0, 0.25, 0.5, 0.75),
}
KEDA_KNOBS: dict[str, Sequence[Any]] = HPA_KNOBS | {
    "metric": ("requestsPerSecond", "pending"),
    "useCachedMetrics": (False, True),
}
KPA_KNOBS: dict[str, Sequence[Any]] = {
    "stableWindow": (60.0, 120.0, 300.0, 30.0),
    "panicWindow": (0.1, 0.2, 0.5),
    "panicThreshold": (2.0, 1.5, 1.1, 10.0),
    "scaleDownDelay": (0.0, 60.0, 300.0, 600.0, 1200.0, 1800.0),
    "maxScaleDownRate": (2.0, 1.5, 1.1),
    "metric": ("rps", "concurrency"),
    "minOfMean": (0.0, 0.25, 0.5, 0.75),
}


# (setting, cost knob's value, scenario, mean replicas' worth of load)
Build: TypeAlias = Callable[[Setting, float, Scenario, float], Scaler]


@dataclass(frozen=True, slots=True)
class Contestant:
    """`knobs`: what the search may set; none: nothing is tuned. `every_step`: asked on each step of
    the world rather than on each tick. `look_on`: what it learns from the part that others are
    tuned on: (scenario, trace, seed, replicas) make another `build`.
    """

    name: str
    cost: CostKnob
    build: Build
    knobs: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    every_step: bool = False
    look_on: Callable[[Scenario, Trace, int, int], Build] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """As its authors publish it: one run, at whatever it costs."""

    name: str
    source: str
    build: Callable[[Scenario], Scaler]


def contestants() -> list[Contestant]:
    share = CostKnob("target, share of a replica's capacity", 1.05, 0.2)
    return [
        Contestant("ours", CostKnob("capacity.headroom", 0.0, 0.8), _ours(), look_on=_ours_after),
        Contestant(
            "hpa-rps",
            share,
            _hpa("requestsPerSecond", lambda u, s: u * s.server.capacity),
            HPA_KNOBS,
        ),
        Contestant(
            "hpa-duty",
            CostKnob("target, duty cycle %", 84.0, 20.0),
            _hpa("dutyCycle", lambda u, _: u),
            HPA_KNOBS,
        ),
        Contestant("keda", share, _keda, KEDA_KNOBS),
        Contestant("kpa", share, _kpa, KPA_KNOBS, every_step=True),
    ]


def published() -> list[Published]:
    def hpa(name: str, metric: Metric, target: float, window: float) -> Callable[..., Scaler]:
        return lambda s: Hpa(name, HpaSettings(metric, target, window), Bounds(s.min, s.max))

    return [
        Published(
            "duty 70",
            "NVIDIA's GKE sample: HPA on GPU duty cycle 70",
            hpa("duty 70", "dutyCycle", 70, 60),
        ),
        Published(
            "duty 85",
            "Triton's GKE Marketplace application: HPA on GPU duty cycle 85",
            hpa("duty 85", "dutyCycle", 85, 60),
        ),
        Published(
            "queue 50 µs",
            "Triton's k8s-onprem chart: HPA on avg_time_queue_us 50 over 30 s",
            hpa("queue 50 µs", "queueTime", 50, 30),
        ),
        Published(
            "queue 25 ms",
            "the same rule with half the SLA as its target",
            hpa("queue 25 ms", "queueTime", 25_000, 60),
        ),
    ]


def our_policy(scenario: Scenario, headroom: float) -> Policy:
    """compare.yaml, with the scenario's bounds and what its server carries within the SLA."""
    return replace(
        _written(),
        replicas=Bounds(scenario.min, scenario.max),
        sla=scenario.sla,
        capacity=Capacity("profile", requests_per_second=carries(scenario)),
        headroom=headroom,
    )


@cache
def _written() -> Policy:
    text = (files("autoscaler.sim") / "compare.yaml").read_text(encoding="utf-8")
    (policy,) = load_texts({"compare.yaml": text}).policies
    return policy


def carries(scenario: Scenario) -> float:
    """Requests/s of one replica at which 1 % of the requests wait longer than the SLA allows."""
    curve, low, high = scenario.server, 0.0, scenario.server.brink
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if curve.late(middle, scenario.patience) <= 0.01 else (low, middle)
        )
    return low


def _ours(state: State | None = None) -> Build:
    def build(setting: Setting, headroom: float, scenario: Scenario, mean: float) -> Scaler:  # noqa: ARG001 -- one setting for all
        return PolicyScaler(our_policy(scenario, headroom), "ours", state=state)

    return build


def _ours_after(scenario: Scenario, trace: Trace, seed: int, replicas: int) -> Build:
    """Knows the cold starts and the traffic that it saw while it ran there, nothing else."""
    scaler = PolicyScaler(our_policy(scenario, _written().headroom), "ours")
    drive(scenario, trace, scaler, seed, replicas)
    return _ours(State(cold_starts=scaler.state.cold_starts, forecast=scaler.state.forecast))


def _bounds(setting: Setting, scenario: Scenario, mean: float) -> Bounds:
    least = max(scenario.min, round(setting["minOfMean"] * mean))
    return Bounds(min(least, scenario.max), scenario.max)


def _rules(setting: Setting) -> Behavior:
    kind, value, period = setting["scaleDownRate"]
    up = (ScalingPolicy("Pods", 4, 15.0), ScalingPolicy("Percent", 100, 15.0))
    return Behavior(
        ScalingRules(setting["scaleUpWindow"], up),
        ScalingRules(setting["scaleDownWindow"], (ScalingPolicy(kind, value, period),)),
    )


def _hpa(metric: Metric, target: Callable[[float, Scenario], float]) -> Build:
    def build(setting: Setting, knob: float, scenario: Scenario, mean: float) -> Scaler:
        settings = HpaSettings(
            metric,
            target(knob, scenario),
            setting["queryWindow"],
            setting["tolerance"],
            _rules(setting),
        )
        return Hpa("hpa", settings, _bounds(setting, scenario, mean))

    return build


def _keda(setting: Setting, knob: float, scenario: Scenario, mean: float) -> Scaler:
    rate = knob * scenario.server.capacity
    pending = setting["metric"] == "pending"
    settings = KedaSettings(
        # What waits in one replica at that rate (Little): 1,312/s × 7.8 ms are 10 requests.
        rate * scenario.server.queue_time(rate) if pending else rate,
        setting["metric"],
        setting["queryWindow"],
        use_cached_metrics=setting["useCachedMetrics"],
        tolerance=setting["tolerance"],
        rules=_rules(setting),
    )
    return Keda("keda", settings, _bounds(setting, scenario, mean))


def _kpa(setting: Setting, knob: float, scenario: Scenario, mean: float) -> Scaler:
    rate = knob * scenario.server.capacity
    inside = rate * scenario.server.latency(rate, 0.5)
    settings = KpaSettings(
        inside if setting["metric"] == "concurrency" else rate,
        setting["metric"],
        setting["stableWindow"],
        setting["panicWindow"],
        setting["panicThreshold"],
        max_scale_down_rate=setting["maxScaleDownRate"],
        scale_down_delay=setting["scaleDownDelay"],
    )
    return Kpa("kpa", settings, _bounds(setting, scenario, mean))
