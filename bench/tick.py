"""A whole tick (read, join, decide, save, journal) at 100, 1,000 and 10,000 pods of 2 models.

Prometheus-shaped answers come from a server in a process of its own; the measured process is
pinned to one core. Each size runs in a process of its own, so that memory is its own too.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from autoscaler.clock import SystemClock
from autoscaler.model import Capacity, Node, Policy, QueueTime
from autoscaler.observe.cluster import ClusterReading
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.pools import PoolReadings
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.triton import queries
from autoscaler.run.journal import FileJournal
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.state import FileStates
from bench.figures import figure, say
from bench.observe_scale import INTERVAL, NOW, PODS_PER_NODE, fleet, serve

TICKS = 7


class Known:
    """A cluster whose pods are known already, as from a watch."""

    def __init__(self, reading: ClusterReading) -> None:
        self._reading = reading

    async def read(
        self, targets: object, now: float, deadline: float, scaled: object = ()
    ) -> ClusterReading:
        return self._reading


class KnownPools:
    """The nodes under the pods, likewise; none of them is a pool of a policy's own."""

    def __init__(self, pods: int) -> None:
        names = [f"node-{n}" for n in range(max(1, pods // PODS_PER_NODE))]
        self._readings = PoolReadings(nodes={name: Node(name, PODS_PER_NODE) for name in names})

    async def read(self, policies: object, now: float, deadline: float) -> PoolReadings:
        return self._readings


def sized(policy: Policy) -> Policy:
    capacity = Capacity("given", requests_per_second=300.0)
    objectives = (*policy.objectives, QueueTime(0.05, 0.02))
    return replace(policy, capacity=capacity, objectives=objectives)


async def measure(url: str, pods: int) -> None:
    plain, cluster = fleet(pods)
    policies = [sized(policy) for policy in plain]
    source = PrometheusSource(url, scrape_interval=INTERVAL, at=True)
    ticks: list[Tick] = []
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        journal = FileJournal(Path(scratch) / "journal.jsonl", unchanged=60.0)
        loop = Loop(
            lambda: policies,
            source,
            cluster=Known(cluster),
            pools=KnownPools(pods),
            states=FileStates(Path(scratch) / "state.json"),
            journal=journal,
            clock=Shifted(NOW),
            interval=5.0,
            budget=60.0,
            on_tick=lambda tick: ticks.append(checked(tick)),
        )
        for _ in range(TICKS):
            began = time.process_time()
            await loop.tick()
            cpu.append(time.process_time() - began)
        journal.close()
    await source.close()
    report(ticks, cpu, f"{len(policies)} policies x {pods} pods x 2 models", source)


class Shifted(SystemClock):
    """The machine's clock, set to the instant of the canned samples when the bench begins."""

    def __init__(self, start: float) -> None:
        self._offset = start - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()


def checked(tick: Tick) -> Tick:
    """What is to be reported of it; its observations would otherwise stay in memory."""
    # The canned answers stand still while the clock goes on: that alone is noticed, rightly.
    faults = [fault.text for fault in tick.problems if "clock" not in fault.text]
    assert not faults, faults
    assert all(d.desired is not None and d.figures for d in tick.decisions)
    return replace(tick, observations={}, decisions=(), policies=())


def report(ticks: list[Tick], cpu: list[float], size: str, source: PrometheusSource) -> None:
    # The first tick imports, connects and journals every decision; it is told apart.
    figure("tick_wall", statistics.median(t.duration for t in ticks[1:]), "s", size)
    figure("tick_cpu", statistics.median(cpu[1:]), "s", size)
    figure("tick_first_wall", ticks[0].duration, "s", size)
    for stage in ("read", "join", "decide", "save", "journal"):
        seconds = statistics.median(t.stages[stage] for t in ticks[1:])
        figure(f"tick_{stage}_wall", seconds, "s", size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figure("tick_peak_memory", peak, "MiB", size)
    asked = len(queries(source.windows)) + len(gpu_queries(source.windows))
    figure("tick_queries", asked, "queries", size)


def one_size(pods: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")  # a forked server would count as our memory
    server = context.Process(target=serve, args=(pods, theirs), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        os.sched_setaffinity(0, {0})
        asyncio.run(measure(url, pods))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    say("tick: one core, medians of 6 ticks after the first")
    for pods in (100, 1_000, 10_000):
        subprocess.run([sys.executable, "-m", "bench.tick", str(pods)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one_size(int(sys.argv[1]))
    else:
        main()
