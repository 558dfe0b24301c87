"""On what is compared: workloads and traces, each split into a part to tune on and one to judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoscaler.model import Sla
from autoscaler.sim.curve import h200
from autoscaler.sim.scenario import Scenario, StartTimes
from autoscaler.sim.trace import Trace, usual_swing
from autoscaler.sim.trace_csv import read_trace
from autoscaler.sim.workloads import WORKLOADS, workload

# Seconds in the queue. 7 to 9 ms are normal on the recorded H200, tens mean saturation.
SLA = Sla(queue_time=0.05)
# Fleets are scaled to a mean of 5 replicas' worth, or to a highest minute of 20, whichever is less.
MEAN, PEAK = 5.0, 20.0
DAYS = 4.0  # of a built-in workload, half of them to tune on
# Of the first half the last three days are tuned on; all of the second half is judged.
TUNED_ON = 3 * 86400.0
# Judged with one seed only: the halves are so long that another one changes nothing.
LONG = 21 * 86400.0

# seconds from the order to Ready: scheduling (with it a node that boots), pulling, loading
COLD_STARTS = {90: StartTimes(5.0, 25.0, 60.0), 300: StartTimes(180.0, 60.0, 60.0)}


@dataclass(frozen=True, slots=True)
class Case:
    """`parts[seed]`: (to tune on, to judge), of one scale. `mean`: replicas' worth of load."""

    name: str
    real: bool
    scenario: Scenario
    mean: float
    parts: dict[int, tuple[Trace, Trace]]

    @property
    def judged_days(self) -> float:
        return next(iter(self.parts.values()))[1].duration / 86400


def cases(
    cold_start: int,
    seeds: Sequence[int],
    folder: Path | None,
    *,
    days: float = DAYS,
    only: Sequence[str] = (),
) -> list[Case]:
    """Built-in workloads (each seed another one) and the CSVs of `folder`/traces (each seed other
    arrivals at the same rates).
    """
    found = []
    for name in WORKLOADS:
        if not only or name in only:
            made = {seed: workload(name, seed, days) for seed in seeds}
            found.append(_case(name, made, cold_start, real=False))
    for path in sorted(folder.glob("traces/*.csv")) if folder else ():
        name = path.stem
        if not only or name in only:
            trace = read_trace(path)
            found.append(_case(name, dict.fromkeys(seeds, trace), cold_start, real=True))
    return found


def _case(name: str, made: dict[int, Trace], cold_start: int, *, real: bool) -> Case:
    server = h200()
    peak_of_mean = max(_highest_minute(trace) for trace in made.values())
    mean = min(MEAN, PEAK / peak_of_mean)
    duration = max(trace.duration for trace in made.values())
    if duration > LONG:
        made = {seed: trace for seed, trace in made.items() if seed == min(made)}
    # Of the service as it was: a replica's worth is so much of it, however many requests that is.
    swing = usual_swing(made[min(made)].mean) if real else 0.0
    scaled = {seed: _scaled(trace, mean, server.capacity, real) for seed, trace in made.items()}
    step, tick = _pace(duration)
    scenario = Scenario(
        server,
        SLA,
        min=1,
        max=math.ceil(1.6 * mean * peak_of_mean) + 2,
        starts=COLD_STARTS[cold_start],
        step=step,
        tick=tick,
        swing=swing,
    )
    parts = {seed: _halves(trace) for seed, trace in scaled.items()}
    return Case(name, real, scenario, mean, parts)


def _pace(duration: float) -> tuple[float, float]:
    """(step, tick) in seconds: the longer the coarser, or the whole would take hours."""
    if duration <= 7 * 86400:
        return 5.0, 15.0
    return (15.0, 30.0) if duration <= LONG else (15.0, 60.0)


def _scaled(trace: Trace, mean: float, capacity: float, real: bool) -> Trace:
    """A real trace's noise is not multiplied (Trace.scaled); our workloads have none: rates."""
    if real:
        return trace.scaled(mean, capacity)
    factor = mean * capacity / trace.mean
    return Trace(trace.start, trace.bin, tuple(c * factor for c in trace.counts), trace.name)


def _halves(trace: Trace) -> tuple[Trace, Trace]:
    """Both of whole minutes."""
    half = trace.duration / 2 // 60 * 60
    return trace.part(max(0.0, half - TUNED_ON), half), trace.part(half, trace.duration)


def _highest_minute(trace: Trace) -> float:
    """Over the mean."""
    coarse = trace.rebinned(max(1, round(60 / trace.bin)))
    return coarse.peak / coarse.mean
