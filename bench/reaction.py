"""From a step in load to the decision that answers it, at scrape intervals of 1, 5 and 15 s.

Wall time, nothing sped up: simulated Tritons publish their pages, three real Prometheus servers
scrape them, one loop on each ticks every 5 s and decides dry. The load steps from 0.4 to 1.6
replicas' worth per replica; the answer is the first decision for more replicas than there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import AsyncIterator

from autoscaler.model import Bounds, Capacity, Decision, Demand, Policy, QueueTime, Sla, Target
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.policy.compile import HPA_DEFAULTS
from autoscaler.run.loop import Loop, Tick
from autoscaler.sim.ports import Pages, WorldCluster
from autoscaler.sim.world import World
from bench.figures import figure, say
from tests.testbed.parts import ensure_prometheus
from tests.testbed.prometheus_server import PrometheusServer

SCRAPES, TICK, TRIALS = (1.0, 5.0, 15.0), 5.0, 3
QUIET, BUSY = 1280.0, 5120.0  # requests/s on two replicas that carry 1,600 each
CALM_SECONDS, BUSY_SECONDS = 80.0, 40.0
POLICY = Policy(
    namespace="default",
    name="bert-large",
    target=Target("default", "bert-large"),
    replicas=Bounds(1, 8),
    sla=Sla(queue_time=0.05),
    capacity=Capacity("given", 1600.0),
    objectives=(Demand(), QueueTime(0.05, 0.015)),
    behavior=HPA_DEFAULTS,
)


class Live:
    """A world that keeps up with the wall clock."""

    def __init__(self) -> None:
        self.load = QUIET
        self.world = World(lambda _: self.load, start=time.time(), replicas=2, lead_in=30.0)
        self.world.advance(time.time())

    async def keep_up(self) -> None:
        while True:
            self.world.advance(time.time())
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def watched(live: Live, pages: Pages, scrape: float) -> AsyncIterator[list[Decision]]:
    """The decisions of one loop behind one Prometheus, as they are made."""
    decisions: list[Decision] = []
    groups = []
    for (namespace, pod), url in pages.endpoints().items():
        address, path = url.removeprefix("http://").split("/", 1)
        labels = {"namespace": namespace, "pod": pod, "__metrics_path__": f"/{path}"}
        groups.append({"targets": [address], "labels": labels})
    config = {"job_name": "triton", "static_configs": groups}
    binaries = ensure_prometheus()

    def publish(tick: Tick) -> None:
        decisions.extend(tick.decisions)

    with PrometheusServer(
        binaries, scrape_configs=[config], scrape_interval=f"{scrape:g}s"
    ) as server:
        source = PrometheusSource(server.url, scrape_interval=scrape)
        loop = Loop(
            lambda: [POLICY],
            source,
            cluster=WorldCluster(live.world),
            interval=TICK,
            on_tick=publish,
        )
        running = asyncio.create_task(loop.run())
        try:
            yield decisions
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await source.close()


async def measure() -> dict[float, list[float]]:
    delays: dict[float, list[float]] = {scrape: [] for scrape in SCRAPES}
    live, rng = Live(), random.Random(1)
    keeping = asyncio.create_task(live.keep_up())
    async with contextlib.AsyncExitStack() as stack:
        pages = await stack.enter_async_context(Pages(live.world))
        seen = {
            scrape: await stack.enter_async_context(watched(live, pages, scrape))
            for scrape in SCRAPES
        }
        for trial in range(TRIALS):
            say(f"reaction: trial {trial + 1} of {TRIALS}, {CALM_SECONDS + BUSY_SECONDS:.0f} s")
            await asyncio.sleep(CALM_SECONDS + rng.uniform(0, 15))
            stepped, live.load = time.time(), BUSY
            await asyncio.sleep(BUSY_SECONDS)
            live.load = QUIET
            for scrape, decisions in seen.items():
                delays[scrape].append(answer(decisions, stepped))
    keeping.cancel()
    return delays


def answer(decisions: list[Decision], stepped: float) -> float:
    before = [d for d in decisions if stepped - 20 < d.at < stepped]
    assert before, "no decision before the step"
    assert all((d.desired or 0) <= 2 for d in before), before[-1].sentence
    answers = [d.at for d in decisions if d.at > stepped and (d.desired or 0) > 2]
    assert answers, f"the step was not answered: {[d.sentence for d in decisions[-3:]]}"
    return min(answers) - stepped


def main() -> None:
    say("reaction: load step to decision, wall time")
    for scrape, delays in asyncio.run(measure()).items():
        size = f"scrape {scrape:g} s, tick {TICK:g} s, {len(delays)} steps x 4"
        figure("reaction_median", statistics.median(delays), "s", size)
        figure("reaction_max", max(delays), "s", size, aim=scrape + TICK)


if __name__ == "__main__":
    main()
