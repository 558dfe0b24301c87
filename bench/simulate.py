"""The fluid simulator: simulated days per second of one core."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoscaler.model import Bounds, Capacity, Demand, Policy, QueueTime, Sla, Target
from autoscaler.sim.curve import h200, measured
from autoscaler.sim.scaler import PolicyScaler, Scaler, Steady, drive
from autoscaler.sim.scenario import scenario_for
from autoscaler.sim.workloads import workload
from bench.figures import figure, say

DAYS = 2.0
POLICY = Policy(
    namespace="default",
    name="bert-large",
    target=Target("default", "bert-large"),
    replicas=Bounds(1, 20),
    sla=Sla(queue_time=0.05),
    objectives=(Demand(), QueueTime(0.05, 0.02)),
    capacity=Capacity("given", 1600.0),
)


def seconds(work: Callable[[], object]) -> float:
    """Of CPU: shared cores."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    say(f"simulate: {DAYS:g} days of the workload diurnal, ticks and scrapes of 15 s")
    measured.cache_clear()
    figure("server_curve", seconds(h200), "s", "13 loads of a request-level server")
    for mean in (2.0, 8.0):
        trace = workload("diurnal", days=DAYS).scaled(mean, 1600.0)
        for step in (5.0, 15.0):
            scenario = scenario_for(POLICY, h200(), step=step)
            scalers: list[tuple[str, Scaler]] = [
                ("steady", Steady(int(2 * mean))),
                ("policy", PolicyScaler(POLICY)),
            ]
            for name, scaler in scalers:
                took = seconds(lambda sc=scenario, t=trace, s=scaler: drive(sc, t, s))
                size = f"{mean:g} replicas' worth on average, steps of {step:g} s"
                figure(f"simulated_days_per_second_{name}", DAYS / took, "days/s", size)


if __name__ == "__main__":
    main()
