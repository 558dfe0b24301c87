"""Policies, compiled: plain numbers in base units. The YAML is autoscaler.policy.documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from autoscaler.model.form import WIRE
from autoscaler.model.nodes import Nodes

Mode: TypeAlias = Literal["observe", "recommend", "scale"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled: anything with a scale subresource."""

    __pydantic_config__ = WIRE
    namespace: str
    name: str
    api_version: str = "apps/v1"
    kind: str = "Deployment"


@dataclass(frozen=True, slots=True)
class Bounds:
    __pydantic_config__ = WIRE
    min: int
    max: int


@dataclass(frozen=True, slots=True)
class Sla:
    """The promise. `latency` holds (quantile, seconds) pairs: p99 100 ms is (0.99, 0.1)."""

    __pydantic_config__ = WIRE
    queue_time: float | None = None  # seconds, request-weighted mean
    latency: tuple[tuple[float, float], ...] = ()
    rejected: float | None = None  # ratio of requests turned away


@dataclass(frozen=True, slots=True)
class Capacity:
    """Requests/s that one replica carries while the SLA holds, before headroom.

    Either one figure for all requests, or one per model: with `models`, load is the sum over
    the named models of arrivals/capacity, and other models' requests are not load (the steps of
    an ensemble: only the entry model is named).
    """

    __pydantic_config__ = WIRE
    source: str  # "given", "profile FILE (…)": words for the explanation
    requests_per_second: float | None = None
    models: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Demand:
    __pydantic_config__ = WIRE
    drain_within: float = 60.0
    type: Literal["demand"] = "demand"


@dataclass(frozen=True, slots=True)
class QueueTime:
    """Above `raise_above` grow by steps; lower after `sustained` seconds below `lower_below`."""

    __pydantic_config__ = WIRE
    raise_above: float
    lower_below: float
    sustained: float = 30.0
    type: Literal["queueTime"] = "queueTime"


@dataclass(frozen=True, slots=True)
class DutyCycle:
    __pydantic_config__ = WIRE
    average_utilization: float
    tolerance: float = 0.1
    type: Literal["dutyCycle"] = "dutyCycle"


@dataclass(frozen=True, slots=True)
class GpuPower:
    __pydantic_config__ = WIRE
    average_utilization: float
    tolerance: float = 0.1
    type: Literal["gpuPower"] = "gpuPower"


@dataclass(frozen=True, slots=True)
class Metric:
    """HPA arithmetic on any PromQL. Exactly one of `value` and `average_value` is set."""

    __pydantic_config__ = WIRE
    id: str  # metric-1, metric-2, …: the key into Observation.metrics
    query: str
    value: float | None = None
    average_value: float | None = None
    tolerance: float = 0.1
    type: Literal["metric"] = "metric"


@dataclass(frozen=True, slots=True)
class Schedule:
    """At least `min` replicas for `duration` seconds from each time that `cron` names."""

    __pydantic_config__ = WIRE
    cron: str
    duration: float
    timezone: str
    min: int
    type: Literal["schedule"] = "schedule"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The load one cold start ahead, as a floor. None: that candidate is not asked."""

    __pydantic_config__ = WIRE
    trend: float | None = None  # seconds of look-back
    season: float | None = None  # its period in seconds
    peak: float | None = None  # the span in seconds whose highest load is learned
    type: Literal["forecast"] = "forecast"


Objective: TypeAlias = Demand | QueueTime | DutyCycle | GpuPower | Metric | Schedule | Forecast


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """One entry of autoscaling/v2 `behavior.scaleUp.policies`: at most `value` per `period` s."""

    __pydantic_config__ = WIRE
    type: Literal["Pods", "Percent"]
    value: int
    period: float


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of autoscaling/v2 `behavior`."""

    __pydantic_config__ = WIRE
    stabilization_window: float
    policies: tuple[ScalingPolicy, ...]
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Behavior:
    __pydantic_config__ = WIRE
    scale_up: ScalingRules
    scale_down: ScalingRules


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Seconds after any scaling before the next one in that direction."""

    __pydantic_config__ = WIRE
    scale_up: float = 0.0
    scale_down: float = 300.0


@dataclass(frozen=True, slots=True)
class WhenBlind:
    """After `hold` seconds without a trustworthy signal: go on holding, or raise to `replicas`."""

    __pydantic_config__ = WIRE
    hold: float = 600.0
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class WhenContested:
    """After somebody else changed the replicas: `yield` leaves them alone for so many seconds,
    `refuse` until they are back at what we wrote, or the policy is edited.
    """

    __pydantic_config__ = WIRE
    then: Literal["yield", "refuse"] = "yield"
    lasts: float = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Money, for showing; decides nothing."""

    __pydantic_config__ = WIRE
    gpu_hour: float
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """One policy's part in a budget: never under `floor` replicas' worth, then by priority."""

    __pydantic_config__ = WIRE
    policy: str  # namespace/name
    priority: int = 0  # higher first; equals share by turns
    floor: int = 0  # replicas


@dataclass(frozen=True, slots=True)
class GpuBudget:
    """`gpus` caps the GPUs that several policies together may use."""

    __pydantic_config__ = WIRE
    namespace: str
    name: str
    gpus: int
    shares: tuple[BudgetShare, ...]

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Policy:
    __pydantic_config__ = WIRE
    namespace: str  # of the policy; also the target's unless that says otherwise
    name: str
    target: Target
    replicas: Bounds
    sla: Sla
    objectives: tuple[Objective, ...]
    mode: Mode = "observe"
    paused: bool = False
    capacity: Capacity | None = None
    headroom: float = 0.2
    behavior: Behavior | None = None  # None: as an HPA without `behavior`
    cooldown: Cooldown = Cooldown()
    when_blind: WhenBlind = WhenBlind()
    when_contested: WhenContested = WhenContested()
    nodes: Nodes | None = None
    cost: Cost | None = None
    hash: str = ""  # of the document it came from

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"
