"""Who decides, over a simulated fleet: the real pipeline, or anybody with an opinion."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from autoscaler.act.actions import plan
from autoscaler.decide.pipeline import decide
from autoscaler.model import Decision, Policy, State
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.result import Outcome, outcome
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.trace import Trace


class Scaler(Protocol):
    """Asked on each tick; answers spec.replicas. One object for one run: it may remember."""

    @property
    def name(self) -> str: ...

    def wants(self, world: FluidWorld, now: float) -> int: ...


class PolicyScaler:
    """The real `decide`, its state carried from tick to tick, its actions carried out.

    `keep`: keep the decisions that a report tells, those that differ from the one before; all of
    14 days at 15 s would be 80,640. `state`: what it remembers from before.
    """

    def __init__(
        self,
        policy: Policy,
        name: str | None = None,
        *,
        keep: bool = False,
        state: State | None = None,
    ) -> None:
        self.policy = replace(policy, mode="scale", paused=False)
        self.name = name or policy.name
        self.state = state or State()
        self.decisions: list[Decision] = []
        self._keep = keep

    def wants(self, world: FluidWorld, now: float) -> int:
        observation = world.observe(self.policy, now)
        decision, self.state = decide(self.policy, observation, self.state, now)
        if self._keep and (not self.decisions or differs(self.decisions[-1], decision)):
            self.decisions.append(decision)
        replicas = world.desired
        for action in plan(self.policy, decision, observation):
            if action.kind == "pool" and action.pool is not None:
                world.resize(action.pool)
            elif action.kind == "deletionCost":
                world.supply.prefer(action.deletion_costs)
            elif action.kind == "scale":
                replicas = action.after
        return replicas


class Steady:
    """The same replicas all along: what a fleet without a scaler costs, and misses."""

    def __init__(self, replicas: int) -> None:
        self.name = f"always {replicas}"
        self.replicas = replicas

    def wants(self, world: FluidWorld, now: float) -> int:  # noqa: ARG002 -- whatever happens
        return self.replicas


def differs(before: Decision, now: Decision) -> bool:
    """Another wish, decided by another stage, or held or let go."""
    gist = [(d.desired, d.binding, d.hold is None) for d in (before, now)]
    return gist[0] != gist[1]


def drive(
    scenario: Scenario,
    trace: Trace,
    scaler: Scaler,
    seed: int = 1,
    replicas: int | None = None,
) -> Outcome:
    """The whole trace, one decision a tick, within the scenario's bounds.

    `replicas`: serving at its start; None: as many as its first minutes call for.
    """
    world = FluidWorld(scenario, trace, seed, replicas)
    for tick in range(int(trace.duration / scenario.tick + 1e-9)):
        now = trace.start + tick * scenario.tick
        world.scale(max(scenario.min, min(scenario.max, scaler.wants(world, now))))
        world.advance(now + scenario.tick)
    return outcome(world, scaler.name)
