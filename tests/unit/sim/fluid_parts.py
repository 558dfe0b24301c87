"""A curve without a server behind it, policies and scenarios for the tests of the fluid world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.model import Bounds, Capacity, Demand, Policy, QueueTime, Sla, Target
from autoscaler.sim.curve import CELL, LoadPoint, ServerCurve
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.scenario import Scenario, StartTimes
from autoscaler.sim.trace import Trace

START = 1_795_392_000.0
# 100 requests/s at most; 10 ms in the queue up to 95/s, nobody over 20 ms; GPU half busy at 50/s.
_LATER = (1.0,) * round(0.010 / CELL) + (0.0,)
CURVE = ServerCurve(
    name="test",
    capacity=100.0,
    full=0.040,
    max_queue=200,
    points=tuple(
        LoadPoint(rate, 0.010, (0.02, 0.03, 0.03, 0.04), rate / 100, 1.0, _LATER)
        for rate in (1.0, 50.0, 95.0)
    ),
)
POLICY = Policy(
    "default",
    "web",
    Target("default", "web"),
    Bounds(1, 10),
    Sla(queue_time=0.05),
    (Demand(), QueueTime(0.05, 0.02)),
    capacity=Capacity("given", 90.0),
)


def scenario(**changes: Any) -> Scenario:
    """No scatter of starts and traffic: 20 s from creation to Ready."""
    base = Scenario(
        CURVE,
        Sla(queue_time=0.05),
        max=10,
        starts=StartTimes(scheduling=1, pulling=4, loading=15, spread=0.0),
        swing=0.0,
    )
    return replace(base, **changes)


def level(*rates: float, each: float = 300.0) -> Trace:
    """So many requests/s for so many seconds, one after the other, in bins of 5 s."""
    counts = [rate * 5.0 for rate in rates for _ in range(round(each / 5))]
    return Trace(START, 5.0, tuple(counts), "level")


def world(trace: Trace, replicas: int, **changes: Any) -> FluidWorld:
    return FluidWorld(scenario(**changes), trace, seed=1, replicas=replicas)
