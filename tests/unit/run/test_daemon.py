"""Stopping: a tick under way may finish, one that hangs is abandoned."""

from __future__ import annotations

import asyncio

import pytest

from autoscaler.run.daemon import until_stopped
from autoscaler.run.faults import Fault, FaultLog
from autoscaler.run.narrate import Narrator
from tests.unit.run.world import Log
from tests.unit.serve.shown import DECISION, named


class Ticking:
    """A loop whose tick ends when the story lets it."""

    def __init__(self) -> None:
        self.ticking = False
        self.go = asyncio.Event()
        self.finished = 0

    async def run(self) -> None:
        while True:
            self.ticking = True
            await self.go.wait()
            self.ticking = False
            self.finished += 1
            await asyncio.sleep(3600)


async def test_a_tick_under_way_finishes_before_the_end() -> None:
    loop, stop = Ticking(), asyncio.Event()
    ending = asyncio.ensure_future(until_stopped(loop.run, stop, lambda: loop.ticking))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.sleep(0.01)
    assert not ending.done()
    loop.go.set()
    await ending
    assert loop.finished == 1


async def test_a_tick_that_hangs_is_abandoned() -> None:
    loop, stop = Ticking(), asyncio.Event()
    stop.set()
    await until_stopped(loop.run, stop, lambda: loop.ticking, grace=0.01)
    assert loop.finished == 0


async def test_a_loop_that_breaks_is_not_swallowed() -> None:
    async def broken() -> None:
        raise RuntimeError("loop")

    with pytest.raises(RuntimeError, match="loop"):
        await until_stopped(broken, asyncio.Event(), lambda: False)


def test_a_fault_is_told_when_it_comes_and_when_it_is_gone() -> None:
    log = Log()
    faults = FaultLog(log)
    for now in (0.0, 5.0, 10.0):
        faults.update([Fault("source", f"down for {now} s", "prometheus")], now)
    faults.update([], 15.0)
    faults.update([], 20.0)
    assert log.lines == [
        ("warning", "down for 0.0 s", {"cause": "source", "where": "prometheus"}),
        ("info", "recovered", {"cause": "source", "after": "15s", "where": "prometheus"}),
    ]


def test_a_clock_that_jumped_is_told_each_time_and_does_not_recover() -> None:
    log = Log()
    faults = FaultLog(log)
    for now in (0.0, 5.0):
        faults.update([Fault("clock", "the wall clock jumped")], now)
    faults.update([], 10.0)
    assert [level for level, _, _ in log.lines] == ["warning", "warning"]


def test_a_decision_is_told_when_it_changes() -> None:
    log = Log()
    narrator = Narrator(log)
    assert narrator.tell([DECISION]) == [DECISION]
    assert narrator.tell([named("flower", sentence="other figures")]) == []
    held = named("flower", desired=2, hold="cooldown", binding="cooldown")
    assert narrator.tell([held]) == [held]
    assert narrator.tell([held, named("iris")]) == [named("iris")]
    assert [level for level, _, _ in log.lines] == ["info", "debug", "info", "debug", "info"]
