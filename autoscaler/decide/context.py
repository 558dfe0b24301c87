"""What every stage may look at."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.decide.capacity import Worth
from autoscaler.decide.fleet import Fleet, Trust
from autoscaler.model import Capacity, Observation, Policy, State


@dataclass(frozen=True, slots=True)
class Context:
    """One policy at one instant. `current` is spec.replicas as observed."""

    policy: Policy
    observation: Observation
    state: State
    fleet: Fleet
    trust: Trust
    now: float
    current: int
    capacity: Capacity | None = None  # given, or learned
    load: Worth | None = None  # in replicas' worth; None where no capacity is known
