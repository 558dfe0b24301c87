"""What the same policy costs and misses as its margin moves: a person picks the point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from autoscaler.model import Policy
from autoscaler.sim.result import Outcome
from autoscaler.sim.scaler import PolicyScaler, drive
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.trace import Trace

HEADROOMS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SPARES = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the sweep. `spare` is None where the policy names no pool."""

    headroom: float
    minimum: int
    spare: int | None = None

    def __str__(self) -> str:
        words = f"headroom {100 * self.headroom:.0f}%, min {self.minimum}"
        return words if self.spare is None else f"{words}, spare {self.spare}"


@dataclass(frozen=True, slots=True)
class Point:
    """`best`: no other setting misses as few minutes for less."""

    setting: Setting
    outcome: Outcome
    best: bool = False


def settings(policy: Policy) -> list[Setting]:
    """Its own, the sweep of headroom at its minimum, and at two replicas more."""
    pool = policy.nodes is not None and policy.nodes.driver is not None
    spares: Sequence[int | None] = SPARES if pool else (None,)
    lows = sorted({policy.replicas.min, min(policy.replicas.min + 2, policy.replicas.max)})
    found = [own(policy)]
    found += [Setting(h, low, spare) for low in lows for spare in spares for h in HEADROOMS]
    return list(dict.fromkeys(found))


def own(policy: Policy) -> Setting:
    """What the policy says."""
    nodes = policy.nodes
    spare = nodes.spare if nodes is not None and nodes.driver is not None else None
    return Setting(policy.headroom, policy.replicas.min, spare)


def sweep(
    policy: Policy,
    scenario: Scenario,
    trace: Trace,
    seed: int,
    jobs: int,
    told: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
) -> list[Point]:
    """Every setting through the whole trace, by GPU-hours. `told`: runs done, of how many."""
    tried = settings(policy)
    run = partial(_run, policy, scenario, trace, seed)
    outcomes = []
    for outcome in _each(run, tried, jobs):
        outcomes.append(outcome)
        told(len(outcomes), len(tried))
    return ranked(tried, outcomes)


def _each(
    run: Callable[[Setting], Outcome], tried: Sequence[Setting], jobs: int
) -> Iterator[Outcome]:
    if jobs <= 1:
        yield from map(run, tried)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run, tried)


def ranked(tried: Sequence[Setting], outcomes: Sequence[Outcome]) -> list[Point]:
    """By GPU-hours. On the frontier is who misses less than everybody cheaper."""
    points = [Point(s, o) for s, o in zip(tried, outcomes, strict=True)]
    points.sort(key=lambda p: (p.outcome.gpu_hours, p.outcome.miss_minutes))
    least: float = float("inf")
    found = []
    for point in points:
        best = point.outcome.miss_minutes < least
        least = min(least, point.outcome.miss_minutes)
        found.append(replace(point, best=best))
    return found


def with_setting(policy: Policy, scenario: Scenario, setting: Setting) -> tuple[Policy, Scenario]:
    """The policy with another margin, and the world with the pool that this asks for."""
    bounds = replace(policy.replicas, min=setting.minimum)
    nodes, pool = policy.nodes, scenario.pool
    if setting.spare is not None and nodes is not None and pool is not None:
        nodes = replace(nodes, spare=setting.spare)
        pool = replace(pool, spare=setting.spare, initial=setting.spare)
    moved = replace(policy, headroom=setting.headroom, replicas=bounds, nodes=nodes)
    return moved, replace(scenario, min=setting.minimum, pool=pool)


def _run(policy: Policy, scenario: Scenario, trace: Trace, seed: int, setting: Setting) -> Outcome:
    moved, world = with_setting(policy, scenario, setting)
    return drive(world, trace, PolicyScaler(moved, str(setting)), seed)
