"""One target as it was seen: pods, replicas, signals, and who else has a hand on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from autoscaler.model.form import WIRE
from autoscaler.model.nodes import Pool
from autoscaler.model.signals import NOT_MEASURED, Missing, ModelSignals, Signal


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the target that is there as far as anyone knows; ghosts never get this far.

    A terminating one is there for what it holds (a node, GPUs), and has no signals: Triton drains
    for minutes, and its GPUs are nobody else's until it is gone.
    """

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
    image: str | None = None  # of the container with the GPU, as the spec names it
    gpus: int = 0  # requested
    # Unix time of its way to Ready: bound to a node, containers running (so: pulled), Ready
    scheduled_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    waiting: str | None = None  # why it is not Ready, in Kubernetes' words
    leaving: str | None = None  # why it is about to be lost: its node is
    deletion_cost: int = 0


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
class Hands:
    """Who else may move the target's replicas, and what keeps us from it, in words.

    `others`: HPAs and ScaledObjects on the same target; `writer`: the manager of spec.replicas by
    managedFields, with its time, where that is not us; `paused`: the annotation on the target or
    the freeze of everything, and by whom; `rollout`: a rollout that is under way; `refused`: why
    Kubernetes makes no more pods of it although it was told to (a quota), which more replicas
    would not change.
    """

    __pydantic_config__ = WIRE
    others: tuple[str, ...] = ()
    writer: str | None = None
    paused: str | None = None
    rollout: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """The most replicas that a GPU budget or a quota leaves to this target now, and why."""

    __pydantic_config__ = WIRE
    replicas: int
    reason: str


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
    hands: Hands = Hands()
    cap: Cap | None = None
    pool: Pool | Missing | None = None  # None: the policy names no pool
    fallback: Pool | Missing | None = None  # the pool of `nodes.fallback`, likewise
