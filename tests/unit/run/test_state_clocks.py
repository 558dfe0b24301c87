"""A clock that was just set: the state that is saved next tells its times by the new one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from autoscaler.kube.client import KubeError
from autoscaler.model import ForecastMemory, Guess, PeakGuess, PeakMemory, State
from autoscaler.run.memory import Memory
from autoscaler.run.state_configmap import ConfigMapStates

KEY = "default/flower"
TRUE = 1_795_248_000.0  # Unix time at monotonic 0


@dataclass
class Machine:
    """Its clocks; `ahead`: the wall clock before the true one."""

    passed: float = 0.0
    ahead: float = 0.0

    def now(self) -> float:
        return TRUE + self.passed + self.ahead

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class Server:
    """One ConfigMap, and the time by the API server's clock at its last answer."""

    machine: Machine
    date: float | None = None
    found: dict[str, Any] = field(default_factory=dict)

    async def request(
        self, method: str, path: str, *, body: Any = None, within: float = 5.0
    ) -> Any:
        self.date = TRUE + self.machine.passed
        if method != "GET":
            self.found = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        elif not self.found:
            raise KubeError("not found", 404)
        return self.found


def since_the_last_change(memory: Memory, machine: Machine) -> float:
    """Seconds, as that memory has it."""
    scaled_at = memory.state(KEY).scaled_at
    assert scaled_at is not None
    return machine.now() - scaled_at


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_a_leader_that_dies_right_after_its_clock_was_set_leaves_the_cooldown_as_it_was(
    set_by: float,
) -> None:
    async def story() -> None:
        machine = Machine()
        server: Any = Server(machine)
        leader = Memory(ConfigMapStates(server, "ours", "state", clock=machine))
        await leader.load(machine.now(), machine.monotonic())
        leader.put(KEY, State(replicas=4, scaled_at=machine.now()), machine.now())
        await leader.save(machine.now())
        await machine.sleep(10.0)
        machine.ahead = set_by
        leader.jump(set_by)
        leader.put(KEY, leader.state(KEY), machine.now())
        await leader.save(machine.now())

        machine.ahead = 0.0  # the other machine's clock is right
        await machine.sleep(5.0)
        next_one = Memory(ConfigMapStates(server, "ours", "state", clock=machine))
        await next_one.load(machine.now(), machine.monotonic())
        assert since_the_last_change(next_one, machine) == pytest.approx(15.0, abs=0.2)

    asyncio.run(story())


def test_what_a_forecast_says_of_the_next_minutes_is_no_clock_that_was_set() -> None:
    async def story() -> None:
        machine = Machine()
        server: Any = Server(machine)
        leader = Memory(ConfigMapStates(server, "ours", "state", clock=machine))
        await leader.load(machine.now(), machine.monotonic())
        coming = machine.now() + 630
        guesses = ForecastMemory(
            guesses=(Guess(coming, 3.0, 3.2),),
            peak=PeakMemory(guesses=(PeakGuess(coming, 3.0, 3.2, (1.0,) * 6),)),
        )
        leader.put("default/bert", State(replicas=4, forecast=guesses), machine.now())
        leader.put(KEY, State(replicas=4, scaled_at=machine.now()), machine.now())
        await leader.save(machine.now())

        await machine.sleep(20.0)
        next_one = Memory(ConfigMapStates(server, "ours", "state", clock=machine))
        assert await next_one.load(machine.now(), machine.monotonic()) == 0.0
        assert since_the_last_change(next_one, machine) == pytest.approx(20.0, abs=0.2)

    asyncio.run(story())
