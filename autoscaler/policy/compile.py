"""Document → policy: defaults filled in, frozen numbers in base units, no pydantic."""

from __future__ import annotations

import hashlib
import json

from autoscaler import model
from autoscaler.policy.checks.capacity import quantile
from autoscaler.policy.compile_nodes import nodes_of
from autoscaler.policy.documents import ForecastPart, ObjectivePart, QueueTimePart, RulesPart
from autoscaler.policy.entry import Entry
from autoscaler.policy.profile import Profile
from autoscaler.units import format_duration

# What autoscaling/v2 fills in where `behavior` is `{}`, and what we take where it is left out. An
# HPA without any behavior goes another, older way: it keeps growing towards the highest wish of
# the last five minutes, even when nobody wants that any more (docs/decisions/0004).
HPA_DEFAULTS = model.Behavior(
    model.ScalingRules(
        0.0, (model.ScalingPolicy("Pods", 4, 15.0), model.ScalingPolicy("Percent", 100, 15.0))
    ),
    model.ScalingRules(300.0, (model.ScalingPolicy("Percent", 100, 15.0),)),
)


def compile_policy(entry: Entry) -> model.Policy:
    """Of an entry that no check calls an error."""
    spec = entry.spec
    refuge = spec.when_blind.then
    capacity = _capacity(entry)
    return model.Policy(
        namespace=entry.namespace,
        name=entry.document.metadata.name,
        target=model.Target(
            entry.target_namespace, spec.target.name, spec.target.api_version, spec.target.kind
        ),
        replicas=model.Bounds(spec.replicas.min, spec.replicas.max),
        sla=_sla(entry),
        objectives=_objectives(entry),
        mode=spec.mode,
        paused=spec.paused,
        capacity=capacity,
        headroom=spec.capacity.headroom if spec.capacity else 0.2,
        behavior=_behavior(entry),
        cooldown=model.Cooldown(spec.cooldown.scale_up, spec.cooldown.scale_down),
        when_blind=model.WhenBlind(spec.when_blind.hold, refuge.replicas if refuge else None),
        when_contested=model.WhenContested(spec.when_contested.then, spec.when_contested.lasts),
        nodes=nodes_of(entry),
        cost=model.Cost(spec.cost.gpu_hour, spec.cost.currency) if spec.cost else None,
        hash=_hash(entry, capacity),
    )


def _hash(entry: Entry, capacity: model.Capacity | None) -> str:
    """Of what the document says, not of its comments and layout; 12 hex digits."""
    measured = capacity.requests_per_second if capacity else None
    text = json.dumps([entry.tree.data, measured], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _sla(entry: Entry) -> model.Sla:
    sla = entry.spec.sla
    latency = tuple(sorted((quantile(name), limit) for name, limit in sla.latency.items()))
    return model.Sla(sla.queue_time, latency, sla.rejected)


def _capacity(entry: Entry) -> model.Capacity | None:
    part = entry.spec.capacity
    if part is None:
        return None
    if isinstance(entry.profile, Profile) and entry.spec.sla.latency:
        limits = [(quantile(name), limit) for name, limit in entry.spec.sla.latency.items()]
        carried = min(entry.profile.capacity(*limit) for limit in limits)
        words = ", ".join(
            f"{name} within {format_duration(limit)}"
            for name, limit in entry.spec.sla.latency.items()
        )
        return model.Capacity(f"profile {part.profile} ({words})", carried)
    if part.models is not None:
        return model.Capacity("given", None, dict(part.models))
    if part.requests_per_second is not None:
        return model.Capacity("given", part.requests_per_second)
    return None  # headroom alone: capacity is learned


def _objectives(entry: Entry) -> tuple[model.Objective, ...]:
    given = entry.spec.objectives
    if given is None:
        watched = entry.spec.sla.queue_time is not None
        return (model.Demand(), _queue_time(entry, None)) if watched else (model.Demand(),)
    made: list[model.Objective] = []
    metrics = 0
    for part in given:
        metrics += part.metric is not None
        made += _objective(entry, part, f"metric-{metrics}")
    return tuple(made)


def _objective(entry: Entry, part: ObjectivePart, metric_id: str) -> list[model.Objective]:
    made: list[model.Objective] = []
    if part.demand is not None:
        made.append(model.Demand(part.demand.drain_within))
    if part.queue_time is not None:
        made.append(_queue_time(entry, part.queue_time))
    if (duty := part.duty_cycle) is not None:
        made.append(model.DutyCycle(duty.average_utilization, duty.tolerance))
    if (power := part.gpu_power) is not None:
        made.append(model.GpuPower(power.average_utilization, power.tolerance))
    if (metric := part.metric) is not None:
        targets = (metric.value, metric.average_value)
        made.append(model.Metric(metric_id, metric.query, *targets, metric.tolerance))
    if (plan := part.schedule) is not None:
        made.append(model.Schedule(plan.cron, plan.duration, plan.timezone, plan.min))
    if (ahead := part.forecast) is not None:
        made.append(_forecast(ahead))
    return made


def _queue_time(entry: Entry, part: QueueTimePart | None) -> model.QueueTime:
    """raiseAbove: the SLA; lowerBelow: half of it."""
    above = (part and part.raise_above) or entry.spec.sla.queue_time
    assert above is not None, "queue-time-without-limit lets none of these through"
    lower = (part and part.lower_below) or above / 2
    return model.QueueTime(above, lower, part.sustained if part else 30.0)


def _forecast(part: ForecastPart) -> model.Forecast:
    if part.peak is None and part.trend is None and part.season is None:
        return model.Forecast(trend=1800.0, season=86400.0, peak=120.0)
    return model.Forecast(part.trend, part.season, part.peak)


def _behavior(entry: Entry) -> model.Behavior:
    given = entry.spec.behavior
    if given is None:
        return HPA_DEFAULTS
    return model.Behavior(
        _rules(given.scale_up, HPA_DEFAULTS.scale_up),
        _rules(given.scale_down, HPA_DEFAULTS.scale_down),
    )


def _rules(part: RulesPart, default: model.ScalingRules) -> model.ScalingRules:
    window, rates = default.stabilization_window, default.policies
    if part.policies is not None:
        rates = tuple(model.ScalingPolicy(r.type, r.value, r.period) for r in part.policies)
    if part.stabilization_window is not None:
        window = part.stabilization_window
    return model.ScalingRules(window, rates, part.select_policy, part.tolerance)
