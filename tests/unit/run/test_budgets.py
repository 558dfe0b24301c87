"""Policies that share a GPU budget, within one tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoscaler.decide import decide
from autoscaler.model import (
    BudgetShare,
    GpuBudget,
    Missing,
    Nodes,
    Observation,
    Policy,
    State,
)
from autoscaler.run.budgets import share
from tests.unit.decide.fleets import POLICY, Story

NOW = 1_000_005.0
URGENT = replace(POLICY, name="urgent")
PATIENT = replace(POLICY, name="patient")
BUDGET = GpuBudget(
    "default",
    "gpus",
    8,
    (BudgetShare("default/urgent", 10, 1), BudgetShare("default/patient", 0, 1)),
)


def seen(policy: Policy, *rates: float, current: int | None = None) -> Observation:
    story = Story(policy, now=NOW, current=len(rates) if current is None else current)
    return story.observation(*rates)


def capped(
    observations: Mapping[str, Observation], *policies: Policy, budget: GpuBudget = BUDGET
) -> Mapping[str, Observation]:
    found, faults = share([budget], policies, observations, lambda _: State(), NOW)
    assert not faults
    return found


def test_who_is_in_no_budget_is_left_alone() -> None:
    observations = {POLICY.key: seen(POLICY, 50.0)}
    assert capped(observations, POLICY) is observations


def test_the_urgent_one_gets_what_is_free_and_the_cap_explains_itself() -> None:
    """urgent wants 8 (600/s at 80/s each), patient holds 2 of the 8 GPUs."""
    observations = {
        URGENT.key: seen(URGENT, *[150.0] * 4),
        PATIENT.key: seen(PATIENT, 60.0, 60.0),
    }
    found = capped(observations, URGENT, PATIENT)
    cap = found[URGENT.key].cap
    assert cap is not None
    assert cap.replicas == 6
    decision, _ = decide(URGENT, found[URGENT.key], State(), NOW)
    assert decision.desired == 6
    assert decision.binding == "budget"
    assert "budget default/gpus: 8 GPUs; urgent gets 6 of 8 wanted" in decision.sentence


def test_an_unknown_size_is_not_a_free_gpu() -> None:
    blind = replace(seen(PATIENT, 60.0), replicas=Missing("Kubernetes does not answer"))
    observations = {URGENT.key: seen(URGENT, *[150.0] * 4), PATIENT.key: blind}
    patient = replace(PATIENT, replicas=replace(PATIENT.replicas, max=3))
    cap = capped(observations, URGENT, patient)[URGENT.key].cap
    assert cap is not None
    assert cap.replicas == 5


def test_a_replica_of_several_gpus_counts_as_several() -> None:
    large = replace(PATIENT, nodes=Nodes(gpus_per_replica=2))
    observations = {
        URGENT.key: seen(URGENT, *[150.0] * 4),
        PATIENT.key: seen(large, 60.0, 60.0),
    }
    cap = capped(observations, URGENT, large)[URGENT.key].cap
    assert cap is not None
    assert cap.replicas == 4


def test_the_wish_is_asked_without_the_cap_of_before() -> None:
    observations = {URGENT.key: seen(URGENT, *[150.0] * 4), PATIENT.key: seen(PATIENT, 60.0)}
    once = capped(observations, URGENT, PATIENT)
    assert capped(once, URGENT, PATIENT) == once


def test_a_budget_that_breaks_lets_nobody_grow_and_says_so() -> None:
    def broken(_: str) -> State:
        raise RuntimeError("no such state")

    observations = {URGENT.key: seen(URGENT, *[150.0] * 4), POLICY.key: seen(POLICY, 50.0)}
    found, faults = share([BUDGET], [URGENT, POLICY], observations, broken, NOW)
    assert "no such state" in faults[0].text
    cap = found[URGENT.key].cap
    assert cap is not None
    assert cap.replicas == 4
    assert found[POLICY.key].cap is None
