"""Stabilization windows and rate policies exactly as autoscaling/v2 (v1.36.3) has them.

What the controller keeps, in slots that are overwritten rather than queues that are trimmed, can
be seen from outside (an old event still counts until its slot is reused), so it is kept the same
way here. Vectors from the real controller: tests/oracle/behavior.jsonl.

One deliberate difference: `base + value` does not wrap at 32 bits, where the real HPA turns
`Pods 2147483647` ("no limit") into no growth at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from autoscaler.model import Behavior, Bounds, Recommendation, ScaleEvent, ScalingRules

T = TypeVar("T")

# kube-controller-manager --horizontal-pod-autoscaler-downscale-stabilization
DOWNSCALE_STABILIZATION = 300.0


@dataclass(frozen=True, slots=True)
class Stabilized:
    replicas: int
    reason: str  # ReadyForNewScale | ScaleUpStabilized | ScaleDownStabilized
    # when the recommendation that holds it leaves the window
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Limited:
    replicas: int
    reason: str  # DesiredWithinRange | ScaleUpLimit | ScaleDownLimit | TooMany… | TooFewReplicas


def stabilize(
    behavior: Behavior | None,
    recommendations: Sequence[Recommendation],
    current: int,
    proposal: int,
    now: float,
    downscale: float = DOWNSCALE_STABILIZATION,
) -> Stabilized:
    """Up to the lowest recent wish, down to the highest recent wish, else stay.

    Window ends are exclusive with a behavior (age 300 of a window of 300 is out) and inclusive
    without one.
    """
    if behavior is None:
        inside = [r for r in recommendations if now - r.at <= downscale]
        top = max(inside, key=lambda r: (r.replicas, r.at), default=None)
        if top is None or top.replicas <= proposal:
            return Stabilized(proposal, "ReadyForNewScale")
        return Stabilized(top.replicas, "ScaleDownStabilized", top.at + downscale)
    up, down = behavior.scale_up.stabilization_window, behavior.scale_down.stabilization_window
    lowest = min(
        (r for r in recommendations if now - r.at < up),
        key=lambda r: (r.replicas, -r.at),
        default=None,
    )
    highest = max(
        (r for r in recommendations if now - r.at < down),
        key=lambda r: (r.replicas, r.at),
        default=None,
    )
    low = min(proposal, lowest.replicas) if lowest else proposal
    high = max(proposal, highest.replicas) if highest else proposal
    stable = min(max(current, low), high)
    if stable == proposal:
        return Stabilized(stable, "ReadyForNewScale")
    if proposal >= current:
        return Stabilized(stable, "ScaleUpStabilized", lowest.at + up if lowest else None)
    return Stabilized(stable, "ScaleDownStabilized", highest.at + down if highest else None)


def remember(
    behavior: Behavior | None,
    recommendations: Sequence[Recommendation],
    proposal: int,
    now: float,
    downscale: float = DOWNSCALE_STABILIZATION,
) -> tuple[Recommendation, ...]:
    """Keep the unstabilized wish: in the last slot older than both windows, else in a new one."""
    if behavior is None:
        longest = downscale
    else:
        longest = max(
            behavior.scale_up.stabilization_window, behavior.scale_down.stabilization_window
        )
    return _into_slot(
        recommendations,
        Recommendation(now, proposal),
        [now - r.at > longest for r in recommendations],
    )


def record(
    events: Sequence[ScaleEvent], change: int, at: float, longest_period: float | None
) -> tuple[ScaleEvent, ...]:
    """Keep a rescale that happened; without a behavior (None) the HPA keeps none."""
    if longest_period is None:
        return tuple(events)
    marked = [replace(e, stale=True) if at - e.at > longest_period else e for e in events]
    return _into_slot(marked, ScaleEvent(at, change), [e.stale for e in marked])


def longest_period(behavior: Behavior | None, growing: bool) -> float | None:
    if behavior is None:
        return None
    rules = behavior.scale_up if growing else behavior.scale_down
    return max(policy.period for policy in rules.policies)


def limit(
    behavior: Behavior | None,
    ups: Sequence[ScaleEvent],
    downs: Sequence[ScaleEvent],
    current: int,
    wanted: int,
    bounds: Bounds,
    now: float,
) -> Limited:
    """Rate policies and bounds together, as the controller applies them last."""
    if behavior is None:
        return _limit_plain(current, wanted, bounds)
    if wanted > current:
        return _limit_growth(behavior.scale_up, ups, downs, current, wanted, bounds, now)
    if wanted < current:
        return _limit_shrinking(behavior.scale_down, ups, downs, current, wanted, bounds, now)
    return Limited(wanted, "DesiredWithinRange")


def _limit_plain(current: int, wanted: int, bounds: Bounds) -> Limited:
    """No behavior: at most twice the size, and 4 from nothing, per look; no limit downwards."""
    growth = max(2 * current, 4)
    if wanted < bounds.min:
        return Limited(bounds.min, "TooFewReplicas")
    if wanted > min(bounds.max, growth):
        return Limited(
            min(bounds.max, growth),
            "ScaleUpLimit" if bounds.max > growth else "TooManyReplicas",
        )
    return Limited(wanted, "DesiredWithinRange")


def _limit_growth(
    rules: ScalingRules,
    ups: Sequence[ScaleEvent],
    downs: Sequence[ScaleEvent],
    current: int,
    wanted: int,
    bounds: Bounds,
    now: float,
) -> Limited:
    allowed = current
    if rules.select_policy != "Disabled":
        sizes = []
        for policy in rules.policies:
            base = _base(current, ups, downs, policy.period, now)
            if policy.type == "Pods":
                sizes.append(base + policy.value)
            else:  # 100 and 10 % are 111: 100 × 1.1 is 110.00000000000001
                sizes.append(math.ceil(float(base) * (1.0 + float(policy.value) / 100.0)))
        allowed = max(current, max(sizes) if rules.select_policy == "Max" else min(sizes))
    if wanted > min(bounds.max, allowed):
        reason = "ScaleUpLimit" if bounds.max > allowed else "TooManyReplicas"
        return Limited(min(bounds.max, allowed), reason)
    return Limited(wanted, "DesiredWithinRange")


def _limit_shrinking(
    rules: ScalingRules,
    ups: Sequence[ScaleEvent],
    downs: Sequence[ScaleEvent],
    current: int,
    wanted: int,
    bounds: Bounds,
    now: float,
) -> Limited:
    allowed = current
    if rules.select_policy != "Disabled":
        sizes = []
        for policy in rules.policies:
            base = _base(current, ups, downs, policy.period, now)
            if policy.type == "Pods":
                sizes.append(base - policy.value)
            else:
                sizes.append(int(float(base) * (1.0 - float(policy.value) / 100.0)))
        # Max is the largest *change*, hence the smallest size.
        allowed = min(current, min(sizes) if rules.select_policy == "Max" else max(sizes))
    if wanted < max(bounds.min, allowed):
        reason = "ScaleDownLimit" if bounds.min < allowed else "TooFewReplicas"
        return Limited(max(bounds.min, allowed), reason)
    return Limited(wanted, "DesiredWithinRange")


def _base(
    current: int, ups: Sequence[ScaleEvent], downs: Sequence[ScaleEvent], period: float, now: float
) -> int:
    """The size at the start of the period: current − added + removed within it (end exclusive)."""
    added = sum(e.change for e in ups if now - e.at < period)
    removed = sum(e.change for e in downs if now - e.at < period)
    return current - added + removed


def _into_slot(slots: Sequence[T], entry: T, reusable: Sequence[bool]) -> tuple[T, ...]:
    kept = list(slots)
    for index in reversed(range(len(kept))):
        if reusable[index]:
            kept[index] = entry
            return tuple(kept)
    return (*kept, entry)
