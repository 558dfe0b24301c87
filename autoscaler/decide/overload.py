"""Overload that queue time has not shown yet, or cannot show: the early warning.

Counters move when a request completes, and requests refused at a full queue are in none of them
(measured: 49,236 refusals, every failure counter at 0). Pending tells both.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.decide.bracket import believed
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import NO_RATE, Fleet, Load, Trust
from autoscaler.model import ModelSignals, Pod, Policy, QueueTime
from autoscaler.units import format_duration, format_number, format_share

# Pending this near the highest level of the slow window is pinned at a ceiling.
NEAR_CEILING = 0.8
# A ceiling under 16 requests may be a handful of closed-loop clients rather than a full queue.
LOWEST_CEILING = 16.0
# Up to so many per pod may just be in execution: at 0.5 requests/s, 1 pending is no wait of 2 s.
FEW_PENDING = 4
# Throughput within a tenth of its slow mean is flat.
FLAT = 0.1


@dataclass(frozen=True, slots=True)
class Overload:
    reason: str
    flip: str
    # False where requests may be refused or stuck uncounted: arrivals are then at least what
    # is measured, and no size can be read from them
    load_is_known: bool = False


def find(ctx: Context) -> Overload | None:
    """The first sign of overload, most telling first; None where there is no promise to break."""
    policy, fleet = ctx.policy, ctx.fleet
    tolerable = tolerable_wait(policy)
    if tolerable is None and policy.sla.rejected is None:
        return None
    return (
        _turned_away(policy, fleet.total)
        or (_long_wait(tolerable, ctx) if tolerable is not None else None)
        or _stuck_queue(fleet, ctx.trust)
    )


def tolerable_wait(policy: Policy) -> float | None:
    """The queue time that must not be exceeded: the objective's raiseAbove, else the SLA's."""
    for objective in policy.objectives:
        if isinstance(objective, QueueTime):
            return objective.raise_above
    return policy.sla.queue_time


def _turned_away(policy: Policy, load: Load) -> Overload | None:
    if policy.sla.rejected is None or load.turned_away.bottom <= 0:
        return None
    ratio = load.turned_away.top / load.turned_away.bottom
    if ratio <= policy.sla.rejected:
        return None
    promise = format_share(policy.sla.rejected)
    return Overload(
        f"{format_share(ratio)} of the requests are turned away, the SLA allows {promise}",
        f"with {promise} or less turned away this would not raise",
    )


def _long_wait(tolerable: float, ctx: Context) -> Overload | None:
    """Little: who arrives now waits pending / throughput; 157 pending at 4,800/s are 33 ms.

    Throughput is what completes, or what the serving replicas are known to carry where that is
    more: five seconds after an idle fleet is hit, the window has hardly seen a completion, and 6
    pending would read as a wait of seconds.
    """
    for name, load in _with_hot_models(ctx.fleet):
        pending, pods = load.inside.top, load.inside.known
        rate = max(load.inside.bottom, _carried(ctx, name))
        if rate <= NO_RATE or pending <= FEW_PENDING * pods:
            continue
        wait = pending / rate
        if wait >= tolerable:
            whose = f" for {name}" if name else ""
            return Overload(
                f"{format_number(pending)} requests pending{whose} at {format_number(rate)}/s "
                f"make a wait of {format_duration(wait)}, "
                f"{format_duration(tolerable)} is tolerable",
                f"under {format_number(tolerable * rate)} pending this would not raise",
                load_is_known=True,
            )
    return None


def _carried(ctx: Context, model: str) -> float:
    """Requests/s that the serving replicas are known to carry, 0 where nothing is known."""
    capacity = ctx.capacity
    if capacity is None:
        return (believed(ctx.state.bracket, ctx.now) or 0.0) * ctx.fleet.serving
    each = capacity.models.get(model, 0.0) if model else capacity.requests_per_second
    return (each or 0.0) * ctx.fleet.serving


def _with_hot_models(fleet: Fleet) -> list[tuple[str, Load]]:
    """The fleet, then each model: one hot model among nine idle ones must not be averaged away."""
    if len(fleet.models) < 2:
        return [("", fleet.total)]
    return [("", fleet.total), *fleet.models.items()]


def _stuck_queue(fleet: Fleet, trust: Trust) -> Overload | None:
    for pod in fleet.pods:
        for signals in pod.models:
            floor = trust.value(signals.pending_floor)
            if floor is not None and floor >= 2:
                found = _stalled(fleet, trust, pod, signals, floor)
                found = found or _pinned(trust, pod, signals, floor)
                if found is not None:
                    return found
    return None


def _pinned(trust: Trust, pod: Pod, signals: ModelSignals, floor: float) -> Overload | None:
    peak = trust.value(signals.pending_peak)
    if peak is None or peak < LOWEST_CEILING or floor < NEAR_CEILING * peak:
        return None
    fast, slow = trust.value(signals.completions), trust.value(signals.completions_slow)
    if fast is None or slow is None or abs(fast - slow) > FLAT * slow:
        return None
    return Overload(
        f"{signals.model} in {pod.name} is saturated: pending stays between "
        f"{format_number(floor)} and its highest, {format_number(peak)}, while throughput "
        f"is flat at {format_number(fast)}/s; requests may be refused uncounted",
        f"pending under {format_number(NEAR_CEILING * peak)} would not raise",
    )


def _stalled(
    fleet: Fleet, trust: Trust, pod: Pod, signals: ModelSignals, floor: float
) -> Overload | None:
    """A stalled server looks idle in every counter: nothing completes and several wait."""
    if trust.value(signals.completions) != 0:
        return None
    return Overload(
        f"{signals.model} in {pod.name} is stalled: {format_number(floor)} or more "
        f"pending and nothing completed in {format_duration(fleet.windows.fast)}",
        "one completed request would end this",
    )
