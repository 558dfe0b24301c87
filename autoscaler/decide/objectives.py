"""Reasons to want a replica count: each objective makes one Proposal.

`replicas=None` means it cannot say (data missing), which holds; an objective that has nothing to
say and need not hold anything (no capacity known yet) makes no proposal at all: `Abstained`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.decide import hpa
from autoscaler.decide.bracket import words
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import Fleet, no_queue_time, queue_time
from autoscaler.decide.growth import grow
from autoscaler.model import (
    Demand,
    DutyCycle,
    Forecast,
    GpuPower,
    Metric,
    Missing,
    Objective,
    Proposal,
    QueueTime,
    Sample,
    Schedule,
    Signal,
)
from autoscaler.units import format_duration, format_number, format_share


@dataclass(frozen=True, slots=True)
class Abstained:
    objective: str
    reason: str


def propose(objective: Objective, ctx: Context) -> Proposal | Abstained | None:
    """None for a schedule or a forecast: a floor, not a reason for a size."""
    match objective:
        case Demand():
            return _demand(objective, ctx)
        case QueueTime():
            return _queue_time(objective, ctx)
        case DutyCycle():
            signals = [(pod.name, pod.duty_cycle) for pod in ctx.fleet.pods]
            return _utilization("dutyCycle", objective, signals, ctx)
        case GpuPower():
            signals = [(pod.name, pod.gpu_power) for pod in ctx.fleet.pods]
            return _utilization("gpuPower", objective, signals, ctx)
        case Metric():
            return _metric(objective, ctx)
        case Schedule() | Forecast():
            return None


def _demand(objective: Demand, ctx: Context) -> Proposal | Abstained:
    load, headroom = ctx.load, ctx.policy.headroom
    if load is None:
        return Abstained("demand", f"no capacity given, and none learned yet: {_learned(ctx)}")
    if not load.raisable:
        return Proposal("demand", None, load.missing or "no pod is serving")
    fast, slow = load.replicas(headroom, objective.drain_within), load.replicas_slow(headroom)
    wanted = max(fast, slow, 1)
    backlog = load.backlog / objective.drain_within
    numbers = {
        "loadFast": load.fast,
        "loadSlow": load.slow,
        "backlog": backlog,
        "headroom": headroom,
    }
    missing = load.missing or load.missing_slow
    if missing and wanted < ctx.current:
        return Proposal("demand", None, f"may not lower on incomplete data: {missing}", "", numbers)
    lately, total = load.fast + backlog >= load.slow, ctx.fleet.total
    rate = total.arrivals.value if lately else total.arrivals_slow.value
    busiest = load.fast + backlog if lately else load.slow
    span = "" if lately else f" over the last {format_duration(ctx.fleet.windows.slow)}"
    waiting = ""
    if lately and backlog >= 0.005:  # what would be seen in the second decimal
        drain = format_duration(objective.drain_within)
        waiting = f" and {format_number(total.pending.value)} pending to drain in {drain}"
    reason = (
        f"{format_number(rate)} requests/s{waiting} are {busiest:.2f} replicas' worth{span} at "
        f"{load.words}, and {format_share(headroom)} headroom make {wanted}"
    )
    grows, shrinks = wanted * (1 - headroom), (wanted - 1) * (1 - headroom)
    flip = f"above {grows:.2f} replicas' worth of load it would be {wanted + 1}"
    if wanted > 1:
        flip += f", at {shrinks:.2f} or less {wanted - 1}"
    return Proposal("demand", wanted, reason, flip, numbers)


def _learned(ctx: Context) -> str:
    """What was seen, and what is to be seen yet: both ends of the bracket are needed."""
    bracket, lacks = ctx.state.bracket, "no rate was seen to break the SLA"
    if bracket.broken is not None:
        lacks = "no rate was seen to keep the SLA"
    return ", ".join(said for said in (words(bracket, ctx.now), lacks) if said)


def _queue_time(objective: QueueTime, ctx: Context) -> Proposal:
    """A trigger and a veto, not a proportion: queue time is a cliff."""
    fast, slow = queue_time(ctx.fleet.total), queue_time(ctx.fleet.total, slow=True)
    hot_name, hot = _hottest(ctx.fleet)
    if fast is None:
        return Proposal("queueTime", None, no_queue_time(ctx.fleet.total))
    worst = max(fast, hot)
    numbers = {"queueTime": fast, "hottest": hot}
    said = f"queue time is {format_duration(worst)}{hot_name if hot > fast else ''}"
    if worst > objective.raise_above:
        limit = format_duration(objective.raise_above)
        flip = f"at {limit} or less it would not raise"
        more = grow(ctx)
        reason = f"{said}, above {limit}" + (f"; {more.answered}" if more.answered else "")
        return Proposal("queueTime", more.replicas, reason, flip, numbers)
    calm = _calm(objective, ctx, max(worst, math.inf if slow is None else slow))
    if calm is not None:
        flip = f"above {format_duration(objective.raise_above)} it would raise"
        return Proposal("queueTime", ctx.current, f"{said}, and {calm}", flip, numbers)
    wanted = ctx.policy.replicas.min if ctx.load else max(ctx.current - 1, 1)
    reason = f"{said}, below {format_duration(objective.lower_below)}: fewer would do"
    flip = f"above {format_duration(objective.lower_below)} it would not lower"
    return Proposal("queueTime", wanted, reason, flip, numbers)


def _calm(objective: QueueTime, ctx: Context, worst: float) -> str | None:
    """Why it may not lower yet; None when calm for long enough."""
    low = format_duration(objective.lower_below)
    waited = ctx.fleet.total.waited
    if not waited.complete:
        return f"not every pod tells: {waited.missing}"
    if math.isinf(worst):
        return "its longer window cannot be read"
    if worst >= objective.lower_below:
        return f"not below {low} over {format_duration(ctx.fleet.windows.slow)}"
    since = ctx.state.calm_since
    lasted = 0.0 if since is None else ctx.now - since
    if lasted < objective.sustained:
        return (
            f"below {low} for {format_duration(lasted)} of the "
            f"{format_duration(objective.sustained)} asked"
        )
    return None


def is_calm(objective: QueueTime, fleet: Fleet) -> bool:
    """Below lowerBelow in both windows at this instant: what `calm_since` is counted from."""
    if not (fleet.total.waited.complete and fleet.total.waited_slow.complete):
        return False
    fast, slow = queue_time(fleet.total), queue_time(fleet.total, slow=True)
    if fast is None or slow is None:
        return False
    return max(fast, slow, _hottest(fleet)[1]) < objective.lower_below


def _hottest(fleet: Fleet) -> tuple[str, float]:
    """The model that waits longest, over the fleet: nine idle models must not hide it."""
    worst, name = 0.0, ""
    if len(fleet.models) > 1:
        for model, load in fleet.models.items():
            waited = queue_time(load)
            # Under 5 requests in the window a mean is one request's bad luck.
            enough = load.waited.bottom * fleet.windows.fast >= 5
            if waited is not None and waited > worst and enough:
                worst, name = waited, f" for {model}"
    return name, worst


def _utilization(
    name: str,
    objective: DutyCycle | GpuPower,
    signals: list[tuple[str, Signal]],
    ctx: Context,
) -> Proposal:
    """The HPA's Pods metric on a share: ceil(mean / target × pods), missing pods its way."""
    problems = {pod: ctx.trust.problem(signal) for pod, signal in signals}
    samples = [
        hpa.PodSample(pod, None if problems[pod] else hpa.milli(_value(signal) * 100))
        for pod, signal in signals
    ]
    samples += [
        hpa.PodSample(pod.name, None, phase="Pending")
        for pod in ctx.observation.pods
        if not pod.ready and not pod.terminating
    ]
    target = hpa.milli(objective.average_utilization * 100)
    got = hpa.pods_average(ctx.current, target, _tolerance(objective, ctx), samples)
    unknown = next((f"{pod}: {why}" for pod, why in problems.items() if why), None)
    if isinstance(got, hpa.Failed) or got.usage_milli is None:
        return Proposal(name, None, unknown or "no pod is serving")
    if unknown and got.replicas < ctx.current:
        return Proposal(name, None, f"may not lower on incomplete data: {unknown}")
    usage, goal = got.usage_milli / 100_000, objective.average_utilization
    words = "GPU duty cycle" if name == "dutyCycle" else "GPU power"
    reason = f"mean {words} is {format_share(usage)} of a target of {format_share(goal)}"
    up = goal * (1 + _tolerance(objective, ctx).up)
    flip = f"above {format_share(up)} it would grow"
    return Proposal(name, got.replicas, reason, flip, {"usage": usage, "target": goal})


def _value(signal: Signal) -> float:
    assert isinstance(signal, Sample)
    return signal.value


def _metric(objective: Metric, ctx: Context) -> Proposal:
    name = objective.id
    signal = ctx.observation.metrics.get(name, Missing("the query was not asked"))
    problem = ctx.trust.problem(signal)
    if problem is not None:
        return Proposal(name, None, problem)
    usage = hpa.milli(_value(signal))
    tolerance = _tolerance(objective, ctx)
    got: hpa.Proposed | hpa.Failed
    if objective.average_value is not None:
        target = objective.average_value
        got = hpa.average_value(ctx.current, hpa.milli(target), tolerance, usage)
        kind = "per replica"
    else:
        target = objective.value or 0.0
        pods = [
            hpa.PodSample(pod.name, None, pod.phase, pod.ready, pod.terminating)
            for pod in ctx.observation.pods
        ]
        got = hpa.value(ctx.current, hpa.milli(target), tolerance, usage, pods)
        kind = "in all"
    if isinstance(got, hpa.Failed):
        return Proposal(name, None, "no pod of the target is known")
    if ctx.fleet.stuck and got.replicas < ctx.current and usage > hpa.milli(target):
        # A Value is scaled by the Ready pods: 3 of 6 fail, and 20 % too much would make 4 of 6.
        pod = ctx.fleet.stuck[0].name
        reason = f"the query is above its target, and pods fail ({pod}): nothing is lowered"
        return Proposal(name, ctx.current, reason)
    reason = (
        f"the query reads {format_number(_value(signal))}, "
        f"{format_number(target)} {kind} are aimed at: {got.replicas}"
    )
    flip = f"within {format_share(tolerance.up)} of the target it would not change"
    numbers = {"value": _value(signal), "target": target}
    return Proposal(name, max(got.replicas, 0), reason, flip, numbers)


def _tolerance(objective: DutyCycle | GpuPower | Metric, ctx: Context) -> hpa.Tolerance:
    """`behavior.scaleUp/Down.tolerance` where written, else the objective's."""
    behavior = ctx.policy.behavior
    up = behavior.scale_up.tolerance if behavior else None
    down = behavior.scale_down.tolerance if behavior else None
    return hpa.Tolerance(
        up=objective.tolerance if up is None else up,
        down=objective.tolerance if down is None else down,
    )
