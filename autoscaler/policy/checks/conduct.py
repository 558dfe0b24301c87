"""How fast the fleet may move: behavior and cooldown."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.documents import RulesPart
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check
from autoscaler.policy.scalars import INT32_MAX
from autoscaler.units import format_duration

LONG_COOLDOWN = 300.0
MAX_WINDOW = 3600.0
MAX_PERIOD = 1800.0


def _rules(entry: Entry) -> Iterator[tuple[Route, RulesPart]]:
    behavior = entry.spec.behavior
    if behavior is not None:
        yield ("spec", "behavior", "scaleUp"), behavior.scale_up
        yield ("spec", "behavior", "scaleDown"), behavior.scale_down


@check(
    "cooldown-defeats-sla",
    "`cooldown.scaleUp` is longer than 5 minutes.",
    "After one step up the fleet stands still for that long, while requests queue. What keeps a "
    "fleet calm on the way up is replicas already ordered, which are counted anyway.",
    "warning",
)
def cooldown_defeats_sla(entry: Entry) -> Iterator[Finding]:
    wait = entry.spec.cooldown.scale_up
    if wait > LONG_COOLDOWN:
        message = f"for {format_duration(wait)} after any change nothing grows, whatever the queue"
        remedy = "write 0s: replicas on their way are counted, nothing is ordered twice"
        yield Finding(("spec", "cooldown", "scaleUp"), message, remedy)


@check(
    "scale-up-disabled",
    "`behavior.scaleUp.selectPolicy` is Disabled.",
    "The fleet can only shrink, so the SLA breaks with the first rise of load.",
    "warning",
)
def scale_up_disabled(entry: Entry) -> Iterator[Finding]:
    behavior = entry.spec.behavior
    if behavior is not None and behavior.scale_up.select_policy == "Disabled":
        route = ("spec", "behavior", "scaleUp", "selectPolicy")
        message = "nothing ever grows, so the SLA cannot be kept"
        yield Finding(route, message, "write Max; to stop all writes use paused: true")


@check(
    "behavior-limits",
    "a window or a period of `behavior` is beyond what autoscaling/v2 allows.",
    "The same behavior could not be given to an HPA.",
)
def behavior_limits(entry: Entry) -> Iterator[Finding]:
    for route, rules in _rules(entry):
        window = rules.stabilization_window
        if window is not None and window > MAX_WINDOW:
            message = f"a window of {format_duration(window)} is longer than 1h"
            yield Finding((*route, "stabilizationWindow"), message, "write at most 1h")
        for index, rate in enumerate(rules.policies or ()):
            if not 1 <= rate.period <= MAX_PERIOD:
                message = f"a period of {format_duration(rate.period)} is not within 1s to 30m"
                place = (*route, "policies", index, "period")
                yield Finding(place, message, "write 1s to 30m")


@check(
    "int32-wrap",
    "a rate of type Pods is near the largest 32-bit number.",
    "The HPA adds it to the replicas in 32 bits: 2147483647 wraps to a negative limit, and "
    "nothing grows at all. Here it means no limit.",
    "warning",
)
def int32_wrap(entry: Entry) -> Iterator[Finding]:
    for route, rules in _rules(entry):
        for index, rate in enumerate(rules.policies or ()):
            if rate.type == "Pods" and rate.value > INT32_MAX - entry.spec.replicas.max:
                message = f"in a real HPA {rate.value} wraps around and stops all growth"
                remedy = "write spec.replicas.max if no limit is meant"
                yield Finding((*route, "policies", index, "value"), message, remedy)
