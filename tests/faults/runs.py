"""A run: waves of load, one fault in each, each at another moment of the wave.

A fault is over when its coroutine returns. What it spoilt shows in the rest of its wave and in the
next one, which begins when all is served again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.judge import COLD_START, Verdict
from tests.faults.site import QUIET, Site, SiteLoop

Happens = Callable[[Site, Random], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """`before`: what is wrong from the start. `outcome`: what is to be expected, in words.
    `witnesses`: other tests of the same, with real parts where there are such.
    """

    name: str
    happens: Happens
    outcome: str
    witnesses: tuple[str, ...]
    daemons: int = 1
    before: Callable[[Site, Random], None] = lambda *_: None


# In a wave. Those of the first part are struck on the way up: the load then stays until they are
# over and served; after the others the next wave tells whether growing still works.
RISING = ("before it grows", "in mid write of growth", "replicas on their way", "grown")
FALLING = (
    "before it shrinks",
    "in mid write of shrinking",
    "shrinking, in the cooldown",
    "shrunk, in the cooldown",
)
MOMENTS = (*RISING, *FALLING)
STARTED = 25.0  # seconds; the first 12 are silent, since there was no Lease
BEFORE = 15.0  # seconds from the beginning of a wave to its rise
HIGH_FOR = 200.0
# Nobody waits for longer: by then the referee has found a deadlock.
PATIENCE = 2400.0


def run(fault: Fault, moments: Sequence[str], seed: int) -> Verdict:
    """A simulated hour is a second of wall time; the same arguments, the same run."""
    site = Site(f"{seed}", fault.daemons)
    random = Random(f"{fault.name} {seed}")
    fault.before(site, random)

    async def live() -> None:
        site.start()
        await site.passes(STARTED)
        for moment in sorted(moments, key=MOMENTS.index):
            await _wave(site, fault, moment, random)
            if site.judge.verdict.deadlocks:
                return
        await _wave(site, None, "", random)

    _lived(site, live)
    return site.judge.verdict


def _lived(site: Site, live: Callable[[], Awaitable[None]]) -> None:
    """Until the story ends, or the world finds that somebody broke."""

    async def story() -> None:
        turning = asyncio.ensure_future(site.turns())
        living = asyncio.ensure_future(live())
        try:
            await asyncio.wait({turning, living}, return_when=asyncio.FIRST_COMPLETED)
            for task in (turning, living):
                if task.done():
                    task.result()
        finally:
            for task in (turning, living):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await site.end()

    with asyncio.Runner(loop_factory=SiteLoop) as runner:
        runner.run(story())
    site.judge.verdict.simulated = site.now


async def _wave(site: Site, fault: Fault | None, moment: str, random: Random) -> None:
    struck = asyncio.ensure_future(_strike(site, fault, moment, random))
    try:
        await site.passes(BEFORE)
        site.surge_of(random.randint(4, 7))
        await site.passes(HIGH_FOR)
        if moment in RISING:
            await struck
        await _until(site, lambda: site.judge.enough)
        site.load_is(QUIET)
        await struck
        await _until(site, lambda: site.judge.served)
        if site.world.load != QUIET:  # the fault needed more
            site.load_is(QUIET)
            await _until(site, lambda: site.judge.served)
        await site.passes(max(10.0, site.well_at - site.now))
        await _until(site, lambda: site.judge.served)
    finally:
        struck.cancel()


async def _strike(site: Site, fault: Fault | None, moment: str, random: Random) -> None:
    if fault is None:
        return
    await _at(site, moment)
    site.judge.begins(moment)
    await fault.happens(site, random)
    site.judge.ends()


async def _at(site: Site, moment: str) -> None:
    """Until that moment of a wave that begins now."""
    changes = site.judge.verdict.changes
    count = len(changes)
    if moment == "before it grows":
        return
    if moment in ("in mid write of growth", "replicas on their way"):
        await site.looked()
    if moment == "replicas on their way":
        await site.passes(COLD_START / 2)
    if moment in RISING[:3]:
        return
    await site.passes(BEFORE + 10.0)
    await _until(site, lambda: site.judge.enough)
    if moment == "grown":
        return
    await _until(site, lambda: site.world.load == QUIET)
    if moment == "before it shrinks":
        await site.passes(60.0)
        return
    count = len(changes)
    await site.looked()
    if moment == "in mid write of shrinking":
        return
    await _until(site, lambda: len(changes) > count)
    if moment == "shrunk, in the cooldown":
        await _until(site, lambda: site.judge.served)
    await site.passes(20.0)


async def _until(site: Site, true: Callable[[], bool]) -> None:
    began = site.now
    while not true() and site.now - began < PATIENCE and not site.judge.verdict.deadlocks:
        await site.passes(5.0)
