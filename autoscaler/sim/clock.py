"""Simulated time: one clock for the world and the loop, paced by the wall but not read from it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from autoscaler.sim.world import World

# Simulated seconds between two looks at the screen.
STEP = 1.0
# Wall seconds behind the plan from which on we stop catching up: a laptop that slept.
GIVE_UP = 5.0


class WorldClock:
    """A Clock whose `sleep` lives through the world's seconds, `speed` of them a wall second.

    Between sleeps no time passes, however long a scrape takes: the same seed gives the same run on
    a fast machine and a slow one; the slow one only takes longer. An infinite speed never waits.
    """

    def __init__(
        self,
        world: World,
        speed: float = math.inf,
        on_step: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._speed = speed
        self._on_step = on_step
        self._wall = wall
        self.start()

    def start(self) -> None:
        """The pace counts from here."""
        self._wall_start = self._wall()
        self._world_start = self._world.now

    def now(self) -> float:
        return self._world.now

    def monotonic(self) -> float:
        return self._world.now

    async def sleep(self, seconds: float) -> None:
        until = self._world.now + seconds
        while self._world.now < until - 1e-6:
            self._world.advance(min(until, self._world.now + STEP))
            self._on_step()
            await self._pace()

    async def _pace(self) -> None:
        due = self._wall_start + (self._world.now - self._world_start) / self._speed
        ahead = due - self._wall()
        if ahead < -GIVE_UP and self._speed < math.inf:
            self._wall_start -= ahead
        # Also when late: who never yields starves the page server and the Ctrl-C.
        await asyncio.sleep(max(0.0, ahead) if self._speed < math.inf else 0.0)
