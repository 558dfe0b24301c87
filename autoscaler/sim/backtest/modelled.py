"""The counterfactual: a fluid world with the recorded arrivals, whose replicas a policy moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoscaler.model import Decision, Policy
from autoscaler.observe.prometheus import no_collection
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.history import History as WorldHistory
from autoscaler.sim.result import MISSED
from autoscaler.sim.scaler import PolicyScaler
from autoscaler.sim.scenario import Scenario, StartTimes
from autoscaler.sim.trace import Trace

AT_ONCE = StartTimes(scheduling=0.0, pulling=0.0, loading=0.0, spread=0.0)


class RecordedWorld(FluidWorld):
    """Its arrivals are what came: no chance is added to what chance has drawn already."""

    def _arrivals(self, now: float) -> float:
        return self.trace.requests(now, now + self.scenario.step)


@dataclass(frozen=True, slots=True)
class Job:
    """A world to run through. `sizes`: what served at each step of the trace; then no policy is
    asked. `replicas`: at the start.
    """

    name: str
    scenario: Scenario
    trace: Trace
    replicas: int
    policy: Policy | None = None
    sizes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Modelled:
    """What a world came to; `changes` as in Said."""

    name: str
    history: WorldHistory
    gpu_hours: float
    ups: int
    downs: int
    requests: float
    queue_time: float | None
    late_share: float
    changes: list[Decision]


def run(job: Job) -> Modelled:
    """From the trace's start to its end."""
    world = RecordedWorld(job.scenario, job.trace, seed=1, replicas=job.replicas)
    with no_collection():
        changes = _replayed(world, job) if job.policy is None else _decided(world, job)
    world.finish()
    totals = world.totals
    return Modelled(
        name=job.name,
        history=world.history,
        gpu_hours=totals.gpu_seconds / 3600,
        ups=world.scale_ups,
        downs=world.scale_downs,
        requests=totals.sent,
        queue_time=totals.queued / totals.answered if totals.answered else None,
        late_share=totals.missed / totals.sent if totals.sent else 0.0,
        changes=changes,
    )


def _decided(world: FluidWorld, job: Job) -> list[Decision]:
    """As `sim.scaler.drive`, in a world with the recorded arrivals."""
    assert job.policy is not None
    scaler = PolicyScaler(job.policy, keep=True)
    tick = job.scenario.tick
    for number in range(round(job.trace.duration / tick)):
        now = job.trace.start + number * tick
        world.scale(scaler.wants(world, now))
        world.advance(now + tick)
    world.advance(job.trace.end)
    return scaler.decisions


def _replayed(world: FluidWorld, job: Job) -> list[Decision]:
    for number, size in enumerate(job.sizes):
        world.scale(size)
        world.advance(job.trace.start + (number + 1) * job.trace.bin)
    return []


def scenario_as_run(scenario: Scenario, most: int) -> Scenario:
    """The same servers, there at the moment they are told to be."""
    return replace(scenario, starts=AT_ONCE, pool=None, min=0, max=most, drain=0.0)


def world_step(step: int) -> float:
    """Seconds: at most 15, a part of the recorded step and of a minute. 30 → 15, 20 → 10."""
    common = math.gcd(step, 60)
    return common / math.ceil(common / 15)


def beyond(history: WorldHistory, seen: float) -> int:
    """Minutes in which a replica of the model carries over 2 % more than `seen` requests/s: what
    its queue does there is in no record.
    """
    rows = 0
    for sent, ready in zip(history.sent, history.ready, strict=True):
        rows += sent > 1.02 * seen * ready * history.resolution
    return round(rows * history.resolution / 60)


def count(history: WorldHistory, known: Sequence[bool]) -> tuple[int, list[int]]:
    """(minutes with requests, the numbers of those that missed), of the minutes that are known.

    The definition of `sim.result`: more than 1 % of a minute's requests waited longer than
    sla.queueTime, were refused or were lost.
    """
    each = max(1, round(60 / history.resolution))
    counted, missed = 0, []
    for minute, told in enumerate(known):
        rows = range(minute * each, min((minute + 1) * each, len(history)))
        sent = sum(history.sent[row] for row in rows)
        if told and sent > 0:
            counted += 1
            if sum(history.missed(row) for row in rows) > MISSED * sent:
                missed.append(minute)
    return counted, missed
