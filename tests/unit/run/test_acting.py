"""What is still done when something before it went wrong, and what waits for the next tick."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.model import Action, Decision, GpuBudget, Observation, Policy, Replicas, State
from autoscaler.run.acting import FREEZE_WITHIN, LATEST, Freeze, act
from autoscaler.run.budgets import for_namespace
from autoscaler.run.deciding import Decided
from autoscaler.run.leadership import Alone
from tests.unit.decide.fleets import POLICY
from tests.unit.run.test_budgets import BUDGET, PATIENT, URGENT


def decided(name: str, before: int, after: int, **costs: int) -> Decided:
    policy = replace(POLICY, name=name, mode="scale")
    decision = Decision(
        policy=policy.key,
        target=policy.target,
        at=0.0,
        mode="scale",
        current=before,
        ready=before,
        desired=after,
        binding="demand",
        hold=None,
        sentence="…",
        flip="",
        deletion_costs=costs,
    )
    seen = Observation(policy.key, 0.0, Replicas(before, before))
    return Decided(policy, seen, State(), decision, State())


class Writing:
    """Fails for the kinds named; each write takes `seconds`."""

    name, writes = "writing", True

    def __init__(self, seconds: float = 0.0, **fails: str) -> None:
        self.done: list[str] = []
        self.now = 0.0
        self._seconds, self._fails = seconds, fails

    async def execute(self, action: Action) -> None:
        self.now += self._seconds
        if action.kind in self._fails:
            raise ActionError(self._fails[action.kind])
        self.done.append(f"{action.kind} {action.policy}")


async def carried_out(executor: Writing, *all_: Decided, freeze: Freeze | None = None) -> list[str]:
    alone = Alone()
    _, faults = await act(
        all_,
        executor,
        alone,
        alone.term,
        saved=True,
        freeze=freeze,
        monotonic=lambda: executor.now,
    )
    return [fault.text for fault in faults]


async def test_pods_that_could_not_be_marked_now_are_not_scaled_in_now() -> None:
    executor = Writing(deletionCost="HTTP 429: too many requests")
    said = await carried_out(executor, decided("flower", 4, 2, pod=-1))
    assert executor.done == []
    assert "could not be marked" in said[1]


async def test_without_the_right_to_mark_pods_scale_in_goes_on() -> None:
    executor = Writing(deletionCost="HTTP 403: forbidden")
    await carried_out(executor, decided("flower", 4, 2, pod=-1))
    assert executor.done == ["scale default/flower"]


async def test_what_was_observed_long_ago_is_not_written_any_more() -> None:
    executor = Writing(seconds=LATEST)
    said = await carried_out(executor, *(decided(f"flower-{n}", 1, 2) for n in range(4)))
    assert len(executor.done) == 2
    assert all("observed again next tick" in text for text in said)


async def test_who_needs_more_comes_before_who_needs_less() -> None:
    executor = Writing()
    await carried_out(executor, decided("less", 4, 2), decided("more", 1, 2))
    assert executor.done == ["scale default/more", "scale default/less"]


class Switch:
    """The freeze: what is said of it, or how asking for it fails."""

    def __init__(self, said: str | None = None, error: Exception | None = None) -> None:
        self.said, self.error = said, error
        self.withins: list[float] = []

    async def __call__(self, within: float) -> str | None:
        self.withins.append(within)
        if self.error is not None:
            raise self.error
        return self.said


async def test_a_freeze_that_no_watch_has_told_of_yet_stops_the_writes_and_says_who() -> None:
    executor, switch = Writing(), Switch("ConfigMap ns/triton-autoscaler-freeze (by jo): fire")
    said = await carried_out(
        executor, decided("flower", 4, 2), decided("iris", 1, 2), freeze=switch
    )
    assert executor.done == []
    assert said == [f"not written: scaling is paused, {switch.said}"] * 2
    assert switch.withins == [FREEZE_WITHIN], "one look a tick, not one a write"


async def test_without_a_freeze_the_writes_go_on_and_a_tick_without_any_asks_nobody() -> None:
    executor, switch = Writing(), Switch()
    assert await carried_out(executor, decided("flower", 2, 2), freeze=switch) == []
    assert switch.withins == []
    await carried_out(executor, decided("flower", 2, 3), freeze=switch)
    assert executor.done == ["scale default/flower"]


@pytest.mark.parametrize("error", [TimeoutError(), RuntimeError("no such thing")])
async def test_a_freeze_that_cannot_be_looked_at_stops_the_writes(error: Exception) -> None:
    executor = Writing()
    (said,) = await carried_out(executor, decided("flower", 2, 3), freeze=Switch(error=error))
    assert executor.done == []
    assert said.startswith("not written: scaling is paused, ")


@pytest.fixture
def policies() -> tuple[Policy, ...]:
    return URGENT, replace(
        PATIENT, namespace="elsewhere", replicas=replace(PATIENT.replicas, max=5)
    )


def test_two_daemons_of_a_namespace_each_do_not_share_out_a_budget_twice(
    policies: tuple[Policy, ...],
) -> None:
    shares = (BUDGET.shares[0], replace(BUDGET.shares[1], policy="elsewhere/patient"))
    budget = replace(BUDGET, shares=shares)
    (here,) = for_namespace([budget], policies, "default")
    (there,) = for_namespace([budget], policies, "elsewhere")
    assert (here.gpus, [share.policy for share in here.shares]) == (3, ["default/urgent"])
    assert there == GpuBudget("default", "gpus", 1, (shares[1],))
    assert for_namespace([budget], policies, None) == (budget,)
