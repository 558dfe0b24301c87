"""Who knows the future never misses, and nobody who never misses is cheaper."""

from __future__ import annotations

import itertools

import pytest

from autoscaler.model import Sla
from autoscaler.sim.baselines.clairvoyant import (
    Clairvoyant,
    Plan,
    cheapest,
    foresee,
    lead_time,
    missed_minutes,
    restart_cost,
)
from autoscaler.sim.curve import h200
from autoscaler.sim.scaler import drive
from autoscaler.sim.scenario import Scenario, StartTimes
from autoscaler.sim.trace import Trace
from autoscaler.sim.workloads import WORKLOADS, workload


def scenario(**more) -> Scenario:
    given = {"max": 40, "starts": StartTimes(5.0, 25.0, 60.0)} | more
    return Scenario(h200(), Sla(queue_time=0.05), **given)


def test_a_start_takes_its_phases_in_whole_steps():
    assert lead_time(scenario()) == 90
    assert lead_time(scenario(step=15.0)) == 15 + 30 + 60
    # From scheduled to Ready, and 30 s of draining.
    assert restart_cost(scenario()) == 85 + 30


def test_a_short_gap_is_kept_and_a_long_one_is_not():
    one_minute, three_minutes = [1, 2, 1, 2, 1], [1, 2, 1, 1, 1, 2, 1]
    assert cheapest(scenario(), one_minute).orders == ((0.0, 2), (240.0, 1))
    assert cheapest(scenario(), three_minutes).orders == (
        (0.0, 2),
        (120.0, 1),
        (300.0 - 90.0, 2),
        (360.0, 1),
    )


def test_what_is_needed_within_a_cold_start_is_there_from_the_start():
    assert cheapest(scenario(), [1, 3, 3]).replicas == 3
    assert cheapest(scenario(), [1, 1, 3]).orders == ((0.0, 1), (30.0, 3))


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("seed", [1, 2])
def test_it_never_misses_and_its_starts_are_where_they_are_needed(name: str, seed: int):
    hours = 9 if name == "office" else 5  # the morning's rise
    trace = workload(name, seed, 0.5, mean=3 * h200().capacity).part(0, hours * 3600)
    plan, ran = foresee(scenario(), trace, seed)
    assert missed_minutes(ran) == []
    assert (ran.miss_minutes, ran.refused, ran.lost) == (0, 0, 0)
    again = drive(
        scenario(tick=5.0, starts=StartTimes(5, 25, 60, 0.0)),
        trace,
        Clairvoyant(plan),
        seed,
        plan.replicas,
    )
    assert again.gpu_hours == ran.gpu_hours


def test_no_feasible_schedule_is_cheaper():
    """All sizes of 1 to 3 for each of seven minutes, each run in the world."""
    small = scenario(max=4, starts=StartTimes(0.0, 0.0, 60.0, spread=0.0), tick=5.0)
    each = 0.7 * h200().capacity
    replicas = (1, 2, 1, 1, 3, 3, 1)
    trace = Trace(0.0, 20.0, tuple(20 * each * n for n in replicas for _ in range(3)))
    _, ran = foresee(small, trace)
    costs = []
    for first, *rest in itertools.product((1, 2, 3), repeat=len(replicas)):
        orders = ((0.0, first), *((60.0 * m, n) for m, n in enumerate(rest, 1)))
        # A replica ordered in the last minute serves nobody: never cheaper.
        if rest[-1] <= rest[-2]:
            tried = drive(small, trace, Clairvoyant(Plan(orders)), 1, first)
            if tried.miss_minutes == 0:
                costs.append(tried.gpu_hours)
    assert ran.miss_minutes == 0
    assert len(costs) >= 10
    assert ran.gpu_hours == pytest.approx(min(costs))


def test_too_few_replicas_are_said_to_be_too_few():
    trace = Trace(0.0, 60.0, tuple([60 * 5 * h200().capacity] * 5), "crowd")
    with pytest.raises(ValueError, match=r"crowd: 5 minutes are missed even so.*4 replicas"):
        foresee(scenario(max=4), trace)
