"""The outcome: proposals, steps, the decision, and the writes that it calls for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from autoscaler.model.form import WIRE
from autoscaler.model.nodes import PoolWish
from autoscaler.model.policy import Mode, Target


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
    pool: PoolWish | None = None  # only where a pool is to be resized now
    deletion_costs: dict[str, int] = field(default_factory=dict)  # by pod; only to scale in


@dataclass(frozen=True, slots=True)
class Action:
    """One write to the outside world, as data."""

    __pydantic_config__ = WIRE
    kind: Literal["scale", "pool", "deletionCost"]
    target: Target
    before: int
    after: int
    reason: str
    policy: str
    resource_version: str | None = None
    writer: str | None = None  # who set the replicas, if not us, when this was decided; kind scale
    pool: PoolWish | None = None  # kind pool
    deletion_costs: dict[str, int] = field(default_factory=dict)  # kind deletionCost
