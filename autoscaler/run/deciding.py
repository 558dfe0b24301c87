"""One policy's decision within a tick: what breaks in it holds this policy and no other."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.decide import decide
from autoscaler.model import Decision, Observation, Policy, State
from autoscaler.run.faults import Fault, internal
from autoscaler.run.hold import hold


@dataclass(frozen=True, slots=True)
class Decided:
    """One policy's way through the tick: the state decided with, and the one after."""

    policy: Policy
    observation: Observation
    state: State
    decision: Decision
    after: State | None  # None: the pipeline was not asked or broke; the state stays as it is


def decide_one(
    policy: Policy, observation: Observation, state: State, now: float
) -> tuple[Decided, list[Fault]]:
    try:
        decision, after = decide(policy, observation, state, now)
    except Exception as error:  # noqa: BLE001 -- contained, named, counted
        fault = internal("decide", error, policy.key)
        return held(policy, observation, state, now, fault.text), [fault]
    return Decided(policy, observation, state, decision, after), []


def held(
    policy: Policy, observation: Observation, state: State, now: float, reason: str
) -> Decided:
    decision = hold(policy, observation, now, reason)
    return Decided(policy, observation, state, decision, None)
