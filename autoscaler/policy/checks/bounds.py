"""Target, replicas and SLA."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.diagnostics import Finding
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check
from autoscaler.units import format_duration

_WITHOUT_SCALE = {"DaemonSet", "Job", "CronJob", "Pod", "Service", "HorizontalPodAutoscaler"}


@check(
    "target-not-scalable",
    "`target.kind` is a kind without a scale subresource.",
    "There is no number of replicas to set.",
)
def target_not_scalable(entry: Entry) -> Iterator[Finding]:
    kind = entry.spec.target.kind
    if kind in _WITHOUT_SCALE:
        message = f"a {kind} has no scale subresource"
        yield Finding(("spec", "target", "kind"), message, "name a Deployment or StatefulSet")


@check(
    "min-above-max",
    "`replicas.min` is above `replicas.max`.",
    "No number of replicas satisfies both.",
)
def min_above_max(entry: Entry) -> Iterator[Finding]:
    bounds = entry.spec.replicas
    if bounds.min > bounds.max:
        message = f"min {bounds.min} is above max {bounds.max}"
        yield Finding(("spec", "replicas", "min"), message, "exchange them, or raise max")


@check(
    "min-zero",
    "`replicas.min` is 0.",
    "Scaling to zero is not supported yet: with no pod there is no signal that asks for one.",
)
def min_zero(entry: Entry) -> Iterator[Finding]:
    if entry.spec.replicas.min == 0:
        message = "scaling to zero is not supported yet"
        yield Finding(("spec", "replicas", "min"), message, "write min: 1")


@check(
    "sla-empty",
    "Nothing to go by: no `sla`, no `objectives`, no `capacity`.",
    "Without a promise, a reason to scale or a size to divide by there is nothing to keep.",
)
def sla_empty(entry: Entry) -> Iterator[Finding]:
    sla = entry.spec.sla
    promised = sla.queue_time is not None or sla.latency or sla.rejected is not None
    if not promised and entry.spec.objectives is None and entry.spec.capacity is None:
        message = "there is nothing to go by: no promise, no objectives, no capacity"
        written = isinstance(entry.tree.data["spec"], dict) and "sla" in entry.tree.data["spec"]
        place = ("spec", "sla") if written else ("spec",)
        yield Finding(place, message, "write for example sla: {queueTime: 50ms}")


@check(
    "queue-time-too-small",
    "`sla.queueTime` is under 1 ms.",
    "The dynamic batcher alone holds requests for longer. NVIDIA's sample HPA asks for 50 µs: "
    "under any load it pins the fleet at its maximum.",
    "warning",
)
def queue_time_too_small(entry: Entry) -> Iterator[Finding]:
    limit = entry.spec.sla.queue_time
    if limit is not None and limit < 1e-3:
        message = (
            f"a queue time of {format_duration(limit)} is under what any batching server keeps"
        )
        remedy = "measure an idle server first (BERT-large on H200: 7 to 9 ms) and stay above it"
        yield Finding(("spec", "sla", "queueTime"), message, remedy)


@check(
    "share-over-100",
    "a share that cannot exceed the whole is above 100 %.",
    "A target above 100 % is never reached, so it never raises.",
)
def share_over_100(entry: Entry) -> Iterator[Finding]:
    remedy = "write a share of at most 100%"
    rejected = entry.spec.sla.rejected
    if rejected is not None and rejected > 1:
        message = "more than all requests cannot be turned away"
        yield Finding(("spec", "sla", "rejected"), message, remedy)
    for index, objective in enumerate(entry.spec.objectives or ()):
        for name, part in (("dutyCycle", objective.duty_cycle), ("gpuPower", objective.gpu_power)):
            if part is not None and part.average_utilization > 1:
                route = ("spec", "objectives", index, name, "averageUtilization")
                yield Finding(route, "a GPU cannot be used for more than 100 %", remedy)


@check(
    "empty-list",
    "`objectives`, `policies` or `capacity.models` is there and empty.",
    "It would switch off what it configures. The default needs no field at all.",
)
def empty_list(entry: Entry) -> Iterator[Finding]:
    spec = entry.spec
    if spec.objectives is not None and not spec.objectives:
        remedy = "delete the field for the default (demand and queueTime), or list an objective"
        yield Finding(("spec", "objectives"), "no objectives: nothing would be decided", remedy)
    if spec.capacity and spec.capacity.models is not None and not spec.capacity.models:
        remedy = "name each model with its requests/s, or delete the field"
        yield Finding(("spec", "capacity", "models"), "no models", remedy)
    behavior = spec.behavior
    for name, rules in (
        ("scaleUp", behavior and behavior.scale_up),
        ("scaleDown", behavior and behavior.scale_down),
    ):
        if rules and rules.policies is not None and not rules.policies:
            remedy = "delete the field for the HPA's defaults, or write selectPolicy: Disabled"
            route = ("spec", "behavior", name, "policies")
            yield Finding(route, "no rate: this direction could not move", remedy)


@check(
    "when-blind-bounds",
    "`whenBlind.then.replicas` is outside `replicas`.",
    "The limits come last, so the number given would not be what happens.",
)
def when_blind_bounds(entry: Entry) -> Iterator[Finding]:
    refuge, bounds = entry.spec.when_blind.then, entry.spec.replicas
    if refuge is not None and not bounds.min <= refuge.replicas <= bounds.max:
        message = f"{refuge.replicas} is outside {bounds.min} to {bounds.max}"
        route = ("spec", "whenBlind", "then", "replicas")
        yield Finding(route, message, "write a number within spec.replicas")
