from __future__ import annotations

import asyncio

import pytest

from autoscaler.sim.clock import WorldClock
from autoscaler.sim.world import World


class Wall:
    """A wall clock of the test's own, which asyncio's sleeps move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, late: float = 0.0) -> None:
        self.now = 100.0
        self.slept = 0.0
        self.late = late
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.now += seconds + self.late
            self.slept += seconds
            await real(0)

        monkeypatch.setattr("autoscaler.sim.clock.asyncio.sleep", sleep)

    def __call__(self) -> float:
        return self.now


def world() -> World:
    return World(lambda _: 100.0)


async def test_sleeping_lives_through_the_worlds_seconds():
    seen = []
    clock = WorldClock(it := world(), on_step=lambda: seen.append(it.now - it.start))
    await clock.sleep(5)
    assert clock.now() == clock.monotonic() == it.start + 5
    assert seen == [1, 2, 3, 4, 5]


async def test_it_is_paced_by_the_wall(monkeypatch):
    wall = Wall(monkeypatch)
    clock = WorldClock(world(), speed=10, wall=wall)
    await clock.sleep(50)
    assert wall.slept == pytest.approx(5.0)


async def test_what_a_tick_took_is_caught_up(monkeypatch):
    wall = Wall(monkeypatch)
    clock = WorldClock(world(), speed=10, wall=wall)
    wall.now += 2.0  # a slow tick; the world's time has stood still
    await clock.sleep(50)
    assert wall.slept == pytest.approx(3.0)


async def test_after_the_laptop_slept_the_show_goes_on_at_its_pace(monkeypatch):
    wall = Wall(monkeypatch)
    clock = WorldClock(world(), speed=10, wall=wall)
    wall.now += 3600
    await clock.sleep(50)
    assert wall.slept == pytest.approx(5.0, abs=0.2)


async def test_two_sleepers_do_not_hurry_time():
    clock = WorldClock(it := world())
    await asyncio.gather(clock.sleep(5), clock.sleep(3))
    assert it.now == it.start + 5
