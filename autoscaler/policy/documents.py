"""The YAML document as pydantic models: fields, types, defaults, and the text of the reference.

Field descriptions are the reference: `reference.py` prints them, the JSON Schema carries them into
editors. Units are read by `scalars`; what fields mean together is checked in `checks/`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from autoscaler.policy.part import Part
from autoscaler.policy.pools import NodesPart
from autoscaler.policy.scalars import (
    Boolean,
    Count,
    Duration,
    Name,
    Percentile,
    PositiveCount,
    PositiveDuration,
    Quantity,
    Share,
    Text,
    choice,
    describe,
    fault,
)

API_VERSION = "triton-autoscaler/v1alpha1"
KIND = "ScalingPolicy"


class Metadata(Part):
    """Names the policy."""

    name: Name = Field(description="Name of the policy, unique in its namespace.")
    namespace: Name | None = Field(None, description="Default: that of the target, else `default`.")
    labels: dict[str, Text] = Field({}, description="As in Kubernetes; not read.")
    annotations: dict[str, Text] = Field({}, description="As in Kubernetes; not read.")


class TargetPart(Part):
    """What is scaled: anything with a `/scale` subresource."""

    name: Name = Field(description="Name of the object.")
    namespace: Name | None = Field(None, description="Default: that of the policy.")
    api_version: Text = Field(
        "apps/v1", description="Group and version of the object. Default: apps/v1."
    )
    kind: Text = Field("Deployment", description="Kind of the object. Default: Deployment.")


class ReplicasPart(Part):
    """The bounds that are never left."""

    min: Count = Field(description="At least 1; scaling to zero is not supported yet.")
    max: Count = Field(description="What the GPU quota and the budget allow.")


class SlaPart(Part):
    """The promise to users."""

    queue_time: PositiveDuration | None = Field(
        None,
        description="Mean time in Triton's queue, weighted by requests. A healthy server with "
        "dynamic batching shows a floor of its own (7 to 9 ms for BERT-large on H200): stay "
        "well above it.",
    )
    latency: dict[Percentile, PositiveDuration] = Field(
        {}, description="Percentile → server latency. Needs a profile or a given capacity."
    )
    rejected: Share | None = Field(
        None, description="Share of requests that may be turned away, for example 0.1%."
    )


class CapacityPart(Part):
    """What one replica carries while the SLA holds. Left out: learned from observation.

    Where it is given, a note says when what is seen belies it: see learned-capacity.md.
    """

    profile: Text | None = Field(
        None,
        description="A load sweep (perf_analyzer's CSV or JSON, Model Analyzer), relative to the "
        "policy file. Capacity is the highest throughput whose latency keeps `sla.latency`, "
        "interpolated between measured loads. `profile FILE` shows it.",
    )
    requests_per_second: Quantity | None = Field(
        None, description="Requests/s of one replica, all models together."
    )
    models: dict[str, Quantity] | None = Field(
        None,
        description="Model → requests/s of one replica serving that model alone. Load is the sum "
        "of arrivals / capacity over them; of an ensemble name only the entry model.",
    )
    headroom: Share = Field(0.2, description="Kept free of the capacity above. Default: 20%.")


class DemandPart(Part):
    """Replicas = (arrivals + backlog / drainWithin) / (capacity × (1 − headroom)), rounded up."""

    drain_within: PositiveDuration = Field(
        60.0, description="A backlog is worked off within this time. Default: 60s."
    )


class QueueTimePart(Part):
    """A trigger and a veto: above `raiseAbove` grow by steps, lower only below `lowerBelow`."""

    raise_above: PositiveDuration | None = Field(None, description="Default: `sla.queueTime`.")
    lower_below: PositiveDuration | None = Field(
        None,
        description="Default: half of `raiseAbove`. A value under what an idle server shows (7 to "
        "9 ms for BERT-large on H200, saturated 30 ms) is never reached: the fleet never shrinks.",
    )
    sustained: Duration = Field(
        30.0, alias="for", description="How long it must stay below before lowering. Default: 30s."
    )


class UtilizationPart(Part):
    """HPA arithmetic on a share: replicas × measured / target, rounded up."""

    average_utilization: Share = Field(description="Target, averaged over the pods.")
    tolerance: Share = Field(
        0.1, description="No change within this share of the target. Default: 10%."
    )


class MetricPart(Part):
    """HPA arithmetic on any PromQL. Exactly one of `averageValue` and `value`."""

    query: Text = Field(description="An instant vector of one series, or a scalar.")
    average_value: Quantity | None = Field(
        None, description="Target per replica: replicas = result / averageValue, rounded up."
    )
    value: Quantity | None = Field(
        None, description="Target: replicas = replicas × result / value, rounded up."
    )
    tolerance: Share = Field(
        0.1, description="No change within this share of the target. Default: 10%."
    )


class SchedulePart(Part):
    """At least `min` replicas for `duration` from each time that `cron` names."""

    cron: Text = Field(description="Five fields: minute hour day month weekday.")
    duration: PositiveDuration = Field(description="How long the floor holds.")
    timezone: Text = Field("UTC", description="IANA name, for example Asia/Taipei. Default: UTC.")
    min: PositiveCount = Field(description="The floor, within `replicas`.")


class ForecastPart(Part):
    """The load one measured cold start ahead; may only raise. Each part is trusted only while its
    own recent error stands up to a margin's. Bare it is `{peak: 2m, trend: 30m, season: 1d}`.
    """

    peak: PositiveDuration | None = Field(
        None,
        description="Span from when what is ordered now is Ready, whose highest load is learned "
        "from the traffic itself; 30s to 30m.",
    )
    trend: PositiveDuration | None = Field(
        None, description="Look-back of the straight line that is carried on; 1m to 1h."
    )
    season: PositiveDuration | None = Field(
        None, description="Period after which the load repeats itself; 1d or 7d."
    )


OBJECTIVES = ("demand", "queueTime", "dutyCycle", "gpuPower", "metric", "schedule", "forecast")
BARE = ("demand", "queueTime", "forecast")  # usable without fields


class ObjectivePart(Part):
    """Exactly one reason to want a replica count; `- demand` alone is `- demand: {}`."""

    demand: DemandPart | None = Field(None, description="Sized from load and capacity.")
    queue_time: QueueTimePart | None = Field(None, description="Grow by steps while requests wait.")
    duty_cycle: UtilizationPart | None = Field(
        None, description="GPU duty cycle of the busiest GPU of each pod. On MIG it is wrong."
    )
    gpu_power: UtilizationPart | None = Field(
        None, description="Power draw as a share of the board's limit."
    )
    metric: MetricPart | None = Field(None, description="Any PromQL.")
    schedule: SchedulePart | None = Field(None, description="A floor by the clock.")
    forecast: ForecastPart | None = Field(
        None, description="A floor by what the load will be; may only raise."
    )


def one_objective(value: Any) -> Any:
    """`demand` → `{"demand": {}}`; refuses items that name none or several objectives."""
    if isinstance(value, str) and value in OBJECTIVES:
        value = {str(value): {}}
    if not isinstance(value, dict):
        remedy = "write one of " + ", ".join(f"`- {name}: {{…}}`" for name in OBJECTIVES)
        raise fault("objective-shape", f"must be an objective, not {describe(value)}", remedy)
    if len(value) != 1:
        names = ", ".join(value) or "none"
        remedy = "give each objective a `- ` of its own, its fields indented below it"
        raise fault("objective-shape", f"one item must hold one objective; here: {names}", remedy)
    return {key: {} if body is None and key in BARE else body for key, body in value.items()}


class RatePart(Part):
    """At most this change within a period."""

    type: Annotated[Literal["Pods", "Percent"], BeforeValidator(choice("Pods", "Percent"))] = Field(
        description="What `value` counts."
    )
    value: PositiveCount = Field(description="Pods, or percent of the replicas.")
    period: PositiveDuration = Field(description="1s to 30m, as in autoscaling/v2.")


class RulesPart(Part):
    """One direction of autoscaling/v2 `behavior`; what is left out gets the HPA's default."""

    stabilization_window: Duration | None = Field(
        None, description="0s to 1h. Default: up 0s, down 5m."
    )
    policies: list[RatePart] | None = Field(
        None,
        description="Default: up Pods 4 / 15s and Percent 100 / 15s, down Percent 100 / 15s.",
    )
    select_policy: Annotated[
        Literal["Max", "Min", "Disabled"], BeforeValidator(choice("Max", "Min", "Disabled"))
    ] = Field("Max", description="Largest change (default), smallest change, or none at all.")
    tolerance: Share | None = Field(
        None, description="Of this direction, for utilisation and metric."
    )


class BehaviorPart(Part):
    """autoscaling/v2 semantics to the letter; left out it is `{}`: the documented defaults."""

    scale_up: RulesPart = Field(
        default=RulesPart.model_validate({}), description="How fast to grow."
    )
    scale_down: RulesPart = Field(
        default=RulesPart.model_validate({}), description="How fast to shrink."
    )


class CooldownPart(Part):
    """Least time after any scaling before the next one in that direction."""

    scale_up: Duration = Field(0.0, description="Default: 0s; keep it unless you know why not.")
    scale_down: Duration = Field(300.0, description="Default: 5m. Longer than a cold start.")


class RaisePart(Part):
    """A refuge: raise to this many replicas."""

    replicas: PositiveCount = Field(description="Raise to this many; never lowers.")


def hold_or_raise(value: Any) -> Any:
    """`hold` → None, a mapping stays; anything else is refused."""
    if isinstance(value, dict):
        return value
    choice("hold")(value)
    return None


_THEN_SCHEMA = {
    "anyOf": [
        {"const": "hold"},
        {
            "type": "object",
            "properties": {"replicas": {"type": "integer", "minimum": 1}},
            "required": ["replicas"],
            "additionalProperties": False,
        },
    ]
}


class WhenBlindPart(Part):
    """What happens without trustworthy signals. Never lowers."""

    hold: Duration = Field(600.0, description="Keep the replicas for this long. Default: 10m.")
    then: Annotated[
        RaisePart | None, BeforeValidator(hold_or_raise), WithJsonSchema(_THEN_SCHEMA)
    ] = Field(None, description="`hold` (default) goes on holding; `{replicas: N}` raises to N.")


class WhenContestedPart(Part):
    """What `mode: scale` does after somebody else changed the replicas. An HPA is never fought."""

    then: Annotated[Literal["yield", "refuse"], BeforeValidator(choice("yield", "refuse"))] = Field(
        "yield",
        description="`yield` (default) leaves their number alone for a while; `refuse` writes "
        "nothing until the replicas are back at what we wrote, or this policy is edited.",
    )
    lasts: Duration = Field(600.0, alias="for", description="How long it yields. Default: 10m.")


class CostPart(Part):
    """For showing money. Decides nothing."""

    gpu_hour: Quantity = Field(description="Price of one GPU for one hour.")
    currency: Text = Field("USD", description="Three letters. Default: USD.")


class Spec(Part):
    """The policy itself."""

    target: TargetPart = Field(description="What is scaled.")
    replicas: ReplicasPart = Field(description="The bounds.")
    sla: SlaPart = Field(
        default=SlaPart.model_validate({}),
        description="The promise. Needed unless objectives or a capacity say what to go by.",
    )
    mode: Annotated[
        Literal["observe", "recommend", "scale"],
        BeforeValidator(choice("observe", "recommend", "scale")),
    ] = Field(
        "observe", description="Only look (default); also serve metrics to an HPA; write replicas."
    )
    paused: Boolean = Field(
        False, description="true: decide and show, write nothing. Default: false."
    )
    capacity: CapacityPart | None = Field(None, description="What one replica carries.")
    objectives: list[Annotated[ObjectivePart, BeforeValidator(one_objective)]] | None = Field(
        None,
        description="The highest valid proposal wins. Default: `demand`, and `queueTime` where "
        "`sla.queueTime` is given.",
    )
    behavior: BehaviorPart | None = Field(None, description="How fast, as in autoscaling/v2.")
    cooldown: CooldownPart = Field(
        default=CooldownPart.model_validate({}), description="Pauses between changes."
    )
    when_blind: WhenBlindPart = Field(
        default=WhenBlindPart.model_validate({}), description="Without trustworthy signals."
    )
    when_contested: WhenContestedPart = Field(
        default=WhenContestedPart.model_validate({}),
        description="Somebody else changed the replicas.",
    )
    nodes: NodesPart | None = Field(None, description="GPUs, and the node pool they come from.")
    cost: CostPart | None = Field(None, description="For showing money; decides nothing.")


class Document(Part):
    """One SLA policy for one fleet of Triton servers."""

    api_version: Annotated[Literal["triton-autoscaler/v1alpha1"], BeforeValidator(str)] = Field(
        description=f"`{API_VERSION}`."
    )
    kind: Annotated[Literal["ScalingPolicy"], BeforeValidator(str)] = Field(
        description=f"`{KIND}`."
    )
    metadata: Metadata = Field(description="Names the policy.")
    spec: Spec = Field(description="The policy itself.")
