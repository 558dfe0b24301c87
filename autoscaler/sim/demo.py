"""The demo: a simulated fleet of Triton servers, kept inside its SLA by the real loop.

The loop itself is passed in (`cli/demo.py` composes it): the simulator and the daemon are
neighbours that do not know each other. Everything between them is real: Triton text pages over
HTTP, the scrape source, the policy file, the pipeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autoscaler.act.executor import Executor
from autoscaler.clock import Clock
from autoscaler.model import Decision, Policy, Windows
from autoscaler.observe.cluster import Cluster
from autoscaler.observe.port import Source
from autoscaler.observe.scrape import ScrapeSource
from autoscaler.sim.clock import WorldClock
from autoscaler.sim.fleet import ColdStart, Hosting
from autoscaler.sim.outcome import report_of, summary_of
from autoscaler.sim.ports import Pages, WorldCluster, WorldExecutor
from autoscaler.sim.screen import Screen, View
from autoscaler.sim.workload import demo_workload
from autoscaler.sim.world import World

LENGTH = 900.0  # simulated seconds
TICK = 5.0
CRASH_AT = 590.0
# Three scrapes, and two minutes instead of the usual five: those would be a third of the demo.
WINDOWS = Windows(fast=15.0, slow=120.0)
# When the curtain rises the fleet has served, and the daemon watched it, for a slow window.
LEAD_IN = WINDOWS.slow


class TickLike(Protocol):
    @property
    def at(self) -> float: ...
    @property
    def decisions(self) -> tuple[Decision, ...]: ...


class LoopLike(Protocol):
    async def run(self, until: float | None = None, ticks: int | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop is to be made of."""

    policies: Callable[[], Sequence[Policy]]
    source: Source
    cluster: Cluster
    executor: Executor
    clock: Clock
    interval: float
    on_tick: Callable[[TickLike], None]


def demo_world(policy: Policy, seed: int) -> World:
    patience = policy.sla.queue_time or math.inf
    return World(
        demo_workload(seed).rate,
        seed=seed,
        replicas=2,
        lead_in=LEAD_IN,
        hosting=Hosting(warm_gpus=5, cold_start=ColdStart(pull_cold=25.0)),
        crashes=(CRASH_AT,),
        patience=patience,
        name=policy.target.name,
        namespace=policy.target.namespace,
    )


async def demo(
    policy: Policy,
    make_loop: Callable[[Parts], LoopLike],
    screen: Screen,
    out: Path,
    *,
    seconds: float = 70.0,
    seed: int = 1,
    length: float = LENGTH,
) -> str:
    """Run it and write the report to `out`; answers the summary, in lines.

    `seconds` of wall time are planned for `length` simulated ones; 0: as fast as it goes. Ctrl-C
    ends the run early, the report is written all the same.
    """
    world = demo_world(policy, seed)
    telling = _Telling(world, policy, screen, length)
    speed = length / seconds if seconds > 0 else math.inf
    async with Pages(world) as pages:
        # The source too lives on the world's clock: what a scrape takes of the wall's time would
        # stand in the samples' ages, and no two runs would be the same.
        clock = WorldClock(world, speed, telling.step)
        source = ScrapeSource(pages.endpoints, interval=TICK, windows=WINDOWS, clock=clock)
        await _watch_lead_in(world, source)
        clock.start()
        loop = make_loop(
            Parts(
                policies=lambda: (policy,),
                source=source,
                cluster=WorldCluster(world),
                executor=WorldExecutor(world),
                clock=clock,
                interval=TICK,
                on_tick=telling.tick,
            )
        )
        try:
            cut = await _until_done_or_stopped(loop, world.start + length)
        finally:
            screen.close()
            await source.close()
    report_of(out, world, policy, telling.decisions, cut_short=cut, seed=seed)
    return summary_of(world, policy, telling.decisions, cut_short=cut)


async def _watch_lead_in(world: World, source: Source) -> None:
    while world.now < world.start:
        await source.read((), world.now, TICK)
        world.advance(world.now + TICK)


async def _until_done_or_stopped(loop: LoopLike, end: float) -> bool:
    """Whether Ctrl-C (or SIGTERM) came before the end."""
    stop = asyncio.Event()
    # Up to and including the last tick that ends before the end: `until` is inclusive.
    running = asyncio.create_task(loop.run(until=end - TICK / 2))
    stopping = asyncio.create_task(stop.wait())
    with _signals(stop):
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        cut = not running.done()
        for task in (running, stopping):
            task.cancel()
        _, outcome = await asyncio.gather(stopping, running, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
    return cut


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C stops the demo in good order; a second one is Python's own."""
    loop = asyncio.get_running_loop()
    kinds = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop.set()
        for kind in kinds:
            loop.remove_signal_handler(kind)

    handled = True
    try:
        for kind in kinds:
            loop.add_signal_handler(kind, first)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or Windows
        handled = False
    try:
        yield
    finally:
        if handled:
            for kind in kinds:
                loop.remove_signal_handler(kind)


class _Telling:
    """Turns the world and its decisions into what the screen shows."""

    def __init__(self, world: World, policy: Policy, screen: Screen, length: float) -> None:
        self.decisions: list[Decision] = []
        self._world = world
        self._sla_ms = 1000 * (policy.sla.queue_time or math.inf)
        self._screen = screen
        self._length = length
        self._events = len(world.fleet.events)
        self._last: tuple[object, ...] | None = None

    def tick(self, tick: TickLike) -> None:
        for decision in tick.decisions:
            self.decisions.append(decision)
            essence = (decision.desired, decision.binding, decision.hold is None)
            moves = decision.desired != decision.current
            if moves or essence != self._last:
                self._screen.tell(self._view(), "move" if moves else "hold", decision.sentence)
            self._last = essence

    def step(self) -> None:
        events = self._world.fleet.events
        for event in events[self._events :]:
            if event.kind == "crashed":
                text = f"{event.replica} crashes; its requests are lost, nobody has noticed yet"
                self._screen.tell(self._view(), "event", text)
        self._events = len(events)
        self._screen.show(self._view())

    def _view(self) -> View:
        world = self._world
        point = world.latest
        phases = Counter(pod.phase for pod in world.fleet.present())
        words = [
            f"{phases[phase]} {phase}"
            for phase in ("scheduling", "pulling", "loading", "dead", "draining")
            if phases[phase]
        ]
        queue = point.queue_time if point else None
        return View(
            at=world.now - world.start,
            length=self._length,
            load=point.offered if point else 0.0,
            capacity=point.capacity if point else 0.0,
            ready=phases["ready"],
            wanted=world.fleet.desired,
            starting=", ".join(words),
            queue_ms=None if queue is None else 1000 * queue,
            sla_ms=self._sla_ms,
            pending=point.pending if point else 0,
            sent=world.totals.sent,
            kept=world.totals.kept,
            refused=world.totals.refused,
            lost=world.totals.lost,
            sentence=self.decisions[-1].sentence if self.decisions else "",
        )
