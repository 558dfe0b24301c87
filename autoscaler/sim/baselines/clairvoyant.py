"""Who knows the future: the cheapest run without a missed minute. A bound, no autoscaler.

Each minute needs n replicas: the fewest with which at most 1 % of its requests are late. Replica
k is needed while n ≥ k. Between two such stretches it is kept, or ended and started again, which
is paid from its scheduling to Ready and while it drains: it is kept where the gap is shorter than
that. Levels do not touch each other (where 3 are needed, so are 2), so that each level's cheapest
makes the cheapest of all, among runs whose size holds for whole minutes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoscaler.sim.baselines.static import Static
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.result import MISSED, Outcome
from autoscaler.sim.scaler import drive
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.serving import Group, Responses
from autoscaler.sim.trace import Trace

MINUTE = 60.0
REPAIRS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """`orders`: (seconds since the start, spec.replicas), by time; the first is at 0."""

    orders: tuple[tuple[float, int], ...]

    @property
    def replicas(self) -> int:
        return self.orders[0][1]


class Clairvoyant:
    """Carries a plan out. To be asked on each step."""

    name = "clairvoyant"

    def __init__(self, plan: Plan) -> None:
        self._times = [at for at, _ in plan.orders]
        self._sizes = [size for _, size in plan.orders]

    def wants(self, world: FluidWorld, now: float) -> int:
        return self._sizes[bisect_right(self._times, now - world.start + 1e-6) - 1]


def foresee(scenario: Scenario, trace: Trace, seed: int = 1) -> tuple[Plan, Outcome]:
    """The plan and what it comes to. Raises ValueError where even `scenario.max` is too few.

    It knows how long each start takes: its starts do not scatter. What the plan's arithmetic
    leaves out (a replica takes its share only from the next step on) is repaired: a minute that
    missed is given one more.
    """
    known = replace(
        scenario, tick=scenario.step, starts=replace(scenario.starts, spread=0.0, failing=0.0)
    )
    needed = needs(known, arrivals(known, trace, seed))
    for _ in range(REPAIRS):
        plan = cheapest(known, needed)
        ran = drive(known, trace, Clairvoyant(plan), seed, plan.replicas)
        missed = missed_minutes(ran)
        if not missed:
            return plan, ran
        for minute in missed:
            needed[minute] = min(needed[minute] + 1, scenario.max)
    raise ValueError(
        f"{trace.name or 'the trace'}: {len(missed)} minutes are missed even so, the first "
        f"{missed[0]} minutes in: {scenario.max} replicas are not enough"
    )


def arrivals(scenario: Scenario, trace: Trace, seed: int) -> list[float]:
    """Requests of each step, as every scaler of this seed will meet them."""
    seen = replace(scenario, resolution=scenario.step)
    return list(drive(seen, trace, Static(scenario.max), seed, scenario.max).history.sent)


def needs(scenario: Scenario, sent: Sequence[float]) -> list[int]:
    """Replicas for each minute: the fewest that keep it, and leave nothing waiting behind."""
    responses = Responses(scenario.server, scenario.patience)
    each = round(MINUTE / scenario.step)
    found = []
    for first in range(0, len(sent), each):
        steps = sent[first : first + each]
        # With fewer than these the mean alone is more than they can answer.
        fewest = sum(steps) / len(steps) / scenario.step / scenario.server.capacity
        sizes = range(max(scenario.min, 1, math.floor(fewest)), scenario.max)
        keeping = (n for n in sizes if _keeps(responses, scenario, steps, n))
        found.append(next(keeping, scenario.max))
    return found


def _keeps(responses: Responses, scenario: Scenario, steps: Sequence[float], n: int) -> bool:
    server, missed, seconds = Group(1, 0.0, deque()), 0.0, scenario.step
    for index, sent in enumerate(steps):
        served = server.step(responses, sent / n / seconds, seconds, index * seconds)
        missed += n * (served.late + served.refused)
    return missed <= MISSED * sum(steps) and server.backlog <= 0.0


def cheapest(scenario: Scenario, needed: Sequence[int]) -> Plan:
    """Orders that have `needed[i]` replicas serving in minute i."""
    lead, overhead = lead_time(scenario), restart_cost(scenario)
    changes: dict[float, int] = {0.0: 0}
    end = len(needed) * MINUTE
    for level in range(1, max(needed) + 1):
        for begin, until in _stretches(needed, level, max(overhead, lead)):
            ordered = max(0.0, begin - lead)
            changes[ordered] = changes.get(ordered, 0) + 1
            if until < end:
                changes[until] = changes.get(until, 0) - 1
    orders, size = [], 0
    for at in sorted(changes):
        size += changes[at]
        orders.append((at, size))
    return Plan(tuple(orders))


def _stretches(needed: Sequence[int], level: int, shortest: float) -> list[tuple[float, float]]:
    """When replica `level` serves: where it is needed, with gaps up to `shortest` s filled."""
    found: list[tuple[float, float]] = []
    for minute, count in enumerate(needed):
        if count < level:
            continue
        begin, until = minute * MINUTE, (minute + 1) * MINUTE
        if found and begin - found[-1][1] <= shortest:
            found[-1] = (found[-1][0], until)
        else:
            found.append((begin, until))
    return found


def lead_time(scenario: Scenario) -> float:
    """Seconds from an order to a replica that serves: each phase ends with a step."""
    starts, step = scenario.starts, scenario.step
    phases = (starts.scheduling, starts.pulling, starts.loading)
    return sum(math.ceil(phase / step - 1e-9) * step for phase in phases)


def restart_cost(scenario: Scenario) -> float:
    """GPU-seconds that ending a replica and starting it again cost beside its service."""
    step = scenario.step
    scheduling = math.ceil(scenario.starts.scheduling / step - 1e-9) * step
    return lead_time(scenario) - scheduling + math.ceil(scenario.drain / step - 1e-9) * step


def missed_minutes(ran: Outcome) -> list[int]:
    history = ran.history
    return [
        minute
        for minute in range(len(history))
        if history.sent[minute] > 0 and history.missed(minute) > MISSED * history.sent[minute]
    ]
