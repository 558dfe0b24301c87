"""The frozen vocabulary: what flows between the rooms.

Base units everywhere: seconds, ratios (0.2 is 20 %), requests per second, Unix time. Nothing in
here does anything; `decide` turns a Policy, an Observation and a State into a Decision and the
next State. The JSON form of these types (camelCase) is `autoscaler.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


def camel(name: str) -> str:
    """`queue_time` → `queueTime`, the spelling of Kubernetes and of every JSON we write."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


# Read by pydantic in `autoscaler.wire`; a plain dict, so that this module needs no pydantic.
WIRE: dict[str, Any] = {
    "alias_generator": camel,
    "populate_by_name": True,
    "extra": "forbid",
    "allow_inf_nan": False,
}


# --- signals -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured value: `at` is when it was measured, `window` the seconds it averages over.

    A window of 0 is an instantaneous reading (a gauge).
    """

    __pydantic_config__ = WIRE
    value: float
    at: float
    window: float = 0.0


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that is not known, with the reason in words. Never read as 0."""

    __pydantic_config__ = WIRE
    missing: str


Signal: TypeAlias = Sample | Missing

NOT_MEASURED = Missing("not measured")


@dataclass(frozen=True, slots=True)
class ModelSignals:
    """One model in one pod, all versions together.

    *fast* signals average over the shortest trustworthy window (`Windows.fast`) and may raise;
    *slow* ones average over `Windows.slow` and are what lowering must also agree with.
    """

    __pydantic_config__ = WIRE
    model: str
    # requests/s that arrived = completed + failed + change of pending (requests refused at a
    # full queue are in no counter: see pending_peak and decide.gates)
    arrivals: Signal = NOT_MEASURED
    arrivals_slow: Signal = NOT_MEASURED
    # requests/s that completed successfully
    completions: Signal = NOT_MEASURED
    completions_slow: Signal = NOT_MEASURED
    # seconds of queueing accumulated per second = Δqueue_duration/Δt, the mean number of
    # requests waiting (Little); queue time per request = queueing / completions
    queueing: Signal = NOT_MEASURED
    queueing_slow: Signal = NOT_MEASURED
    # requests/s that Triton itself counted as turned away (failure, reason REJECTED)
    rejected: Signal = NOT_MEASURED
    # requests inside the server that have no answer yet: last sample, the lowest of the fast
    # window, the highest of the slow window
    pending: Signal = NOT_MEASURED
    pending_floor: Signal = NOT_MEASURED
    pending_peak: Signal = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the target, alive as far as anyone knows; ghosts never get this far."""

    __pydantic_config__ = WIRE
    name: str
    ready: bool = True
    terminating: bool = False
    phase: str = "Running"
    created_at: float | None = None
    node: str | None = None
    models: tuple[ModelSignals, ...] = ()
    # 0..1, the busiest GPU of the pod; never a sum, GPUs may be shared
    duty_cycle: Signal = NOT_MEASURED
    # 0..1 of the board's power limit
    gpu_power: Signal = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas the target has: `desired` is spec.replicas, `ready` what serves now.

    `source` is `kubernetes` (the scale subresource), `series` (counted from pods with fresh
    series, where there is no Kubernetes access) or `simulation`.
    """

    __pydantic_config__ = WIRE
    desired: int
    ready: int
    source: str = "kubernetes"
    resource_version: str | None = None

    def __post_init__(self) -> None:
        if self.desired < 0 or self.ready < 0:
            raise ValueError("replicas are 0 or more")


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds that fast and slow signals average over."""

    __pydantic_config__ = WIRE
    fast: float = 60.0
    slow: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.fast <= self.slow:
            raise ValueError("windows are positive, and the slow one is no shorter than the fast")


@dataclass(frozen=True, slots=True)
class Observation:
    """All signals, pods and replicas of one policy's target at one instant."""

    __pydantic_config__ = WIRE
    policy: str  # namespace/name of the policy
    at: float  # when the readings were taken; each signal carries its own time besides
    replicas: Replicas | Missing
    pods: tuple[Pod, ...] = ()
    # answers to the policy's own PromQL, by objective id (`metric-1`)
    metrics: dict[str, Signal] = field(default_factory=dict)
    windows: Windows = Windows()
    source: str = "prometheus"  # prometheus | scrape | simulation | …
    # what the join left out or doubted, in words: ghosts, inferred pods, partial answers
    notes: tuple[str, ...] = ()


# --- policies (compiled; the YAML is autoscaler.policy.documents) ----------------------------

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


Objective: TypeAlias = Demand | QueueTime | DutyCycle | GpuPower | Metric | Schedule


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
    hash: str = ""  # of the document it came from

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


# --- state: what must survive between ticks --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recommendation:
    __pydantic_config__ = WIRE
    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    __pydantic_config__ = WIRE
    at: float
    change: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A change that was decided and is not yet seen in the world.

    It becomes a scale event, and starts the cooldown, only once the target's replicas have left
    `before`: a write that failed, or a dry run, never blocks the next decision.
    """

    __pydantic_config__ = WIRE
    at: float
    before: int
    after: int
    longest_period: float | None  # of that direction's policies then; None: no behavior


@dataclass(frozen=True, slots=True)
class Bracket:
    """Learned capacity: requests/s per replica seen to keep the SLA, and seen to break it."""

    __pydantic_config__ = WIRE
    kept: float | None = None
    kept_at: float | None = None
    broken: float | None = None
    broken_at: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    __pydantic_config__ = WIRE
    version: Literal[1] = 1
    recommendations: tuple[Recommendation, ...] = ()
    scale_ups: tuple[ScaleEvent, ...] = ()
    scale_downs: tuple[ScaleEvent, ...] = ()
    scaled_at: float | None = None  # last change of the target's replicas, by whomever
    replicas: int | None = None  # as last observed
    serving: int | None = None  # Ready pods as last observed
    joined_at: float | None = None  # when serving last grew
    order: Order | None = None
    blind_since: float | None = None
    calm_since: float | None = None  # queue time has been below lowerBelow since
    bracket: Bracket = Bracket()


# --- the outcome -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one objective wants: replicas and why, or None and why not.

    `flip` is the smallest change of the world that would have changed it, in words.
    """

    __pydantic_config__ = WIRE
    objective: str
    replicas: int | None
    reason: str
    flip: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage of the pipeline did to the number of replicas."""

    __pydantic_config__ = WIRE
    stage: str
    before: int
    after: int
    reason: str
    flip: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now for one policy. `desired` is None only where `current` is unknown."""

    __pydantic_config__ = WIRE
    policy: str
    target: Target
    at: float
    mode: Mode
    current: int | None
    ready: int | None
    desired: int | None
    binding: str  # the stage that had the last word
    hold: str | None  # why nothing moves although something wanted to, or nothing is known
    sentence: str
    flip: str
    proposals: tuple[Proposal, ...] = ()
    trace: tuple[Step, ...] = ()
    # the figures an SRE asks for first: load, queue_time, pending, duty_cycle, age, …
    figures: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One write to the outside world, as data."""

    __pydantic_config__ = WIRE
    kind: Literal["scale"]
    target: Target
    before: int
    after: int
    reason: str
    policy: str
    resource_version: str | None = None
