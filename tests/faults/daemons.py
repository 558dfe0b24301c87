"""One daemon as it is put together for a cluster: elector, memory, loop, live executor."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from random import Random
from typing import Any

from autoscaler.act.live import LiveExecutor
from autoscaler.kube.lease import Elector
from autoscaler.model import GpuBudget, Policy
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.state_configmap import ConfigMapStates
from tests.faults.api import WALL, Api, Wire
from tests.faults.eyes import ClusterEyes, Eyes, PoolEyes, Prometheus

TICK = 10.0
STATE = "state"
STATE_PATH = f"/api/v1/namespaces/ours/configmaps/{STATE}"


@dataclass
class Machine:
    """Its clocks. `ahead`: the wall clock before the true one; it may be set while it runs."""

    ahead: float = 0.0

    def now(self) -> float:
        return WALL + self.ahead + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Rules:
    """What the daemons are told, and may be told anew at any time."""

    policy: Policy
    budgets: tuple[GpuBudget, ...] = ()


class Daemon:
    """Can be killed, stopped in order and started again: then it knows what the API has kept."""

    def __init__(
        self, name: str, api: Api, prometheus: Prometheus, rules: Rules, random: Random
    ) -> None:
        self.name, self.rules = name, rules
        self.machine = Machine()
        self.wire = Wire(api, name, random)
        self.eyes = Eyes(api.world, prometheus, self.wire, rules.policy)
        self._random = random
        self._tasks: list[asyncio.Task[None]] = []
        self.elector = self._elector()
        self.ticks: list[Tick] = []  # the last three

    @property
    def runs(self) -> bool:
        return bool(self._tasks)

    @property
    def may_write(self) -> bool:
        return self.runs and self.elector.remaining() > 0

    def set_clock(self, ahead: float) -> None:
        self.machine.ahead = self.eyes.ahead = ahead

    def start(self, after: float = 0.0) -> None:
        self.elector = self._elector()
        loop = self._loop()

        async def tick() -> None:
            await asyncio.sleep(after)
            await loop.run()

        self._tasks = [asyncio.ensure_future(self.elector.run()), asyncio.ensure_future(tick())]

    async def kill(self) -> None:
        """SIGKILL: what was sent is sent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def stop(self) -> None:
        """SIGTERM: the lease is given up after the last write."""
        await self.kill()
        await self.elector.release()

    def check(self) -> None:
        """A bug of a daemon's own is no outcome of a fault: it ends the run with its exception."""
        for fault in self.ticks[-1].problems if self.ticks else ():
            if fault.text.startswith("internal error"):
                raise AssertionError(f"{self.name}: {fault}")
        for task in self._tasks:
            if task.done():
                task.result()
                raise AssertionError(f"{self.name} ended by itself")

    def _elector(self) -> Elector:
        client: Any = self.wire
        return Elector(client, "ours", "lease", self.name, self.machine, jitter=self._random.random)

    def _loop(self) -> Loop:
        client: Any = self.wire
        elector = self.elector
        return Loop(
            lambda: (self.rules.policy,),
            self.eyes,
            cluster=ClusterEyes(self.eyes),
            pools=PoolEyes(self.eyes),
            budgets=lambda: self.rules.budgets,
            executor=LiveExecutor(client, elector.remaining, clock=self.machine),
            states=ConfigMapStates(client, "ours", STATE, clock=self.machine),
            clock=self.machine,
            leadership=elector,
            interval=TICK,
            on_tick=self._note,
        )

    def _note(self, tick: Tick) -> None:
        self.ticks = [*self.ticks[-2:], tick]
