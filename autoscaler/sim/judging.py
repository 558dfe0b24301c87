"""One contestant on one trace: tuned on one part of it, judged on the other, at equal cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autoscaler.sim.baselines.clairvoyant import foresee
from autoscaler.sim.baselines.static import Static
from autoscaler.sim.cases import Case
from autoscaler.sim.contestants import Contestant, contestants, published
from autoscaler.sim.result import Outcome
from autoscaler.sim.scaler import Scaler, drive
from autoscaler.sim.search import AtCost, Frontier, Point, Run, Setting, tune
from autoscaler.sim.trace import Trace

LEVELS = (1.1, 1.25)  # of the clairvoyant's GPU-hours
CLAIRVOYANT = "clairvoyant"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effort:
    """`evaluations`: settings tried for each tuned contestant and trace. Refinements: runs for each
    cost level after those that bracket it.
    """

    seeds: tuple[int, ...] = (1, 2)
    evaluations: int = 8
    tuning_refinements: int = 0
    refinements: int = 2
    days: float = 4.0


FULL = Effort()
QUICK = Effort(seeds=(1,), evaluations=2, refinements=1, days=0.3)


@dataclass(frozen=True, slots=True)
class Bound:
    """What the clairvoyant's run comes to, and the size that everybody starts with."""

    gpu_hours: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one case: for the part to tune on (first seed), and for the judged part by seed."""

    tuned: Bound
    judged: Mapping[int, Bound]


def bounds_of(lines: Sequence[Line]) -> Bounds:
    """From the clairvoyant's lines of one case."""
    own = [line for line in lines if line["who"] == CLAIRVOYANT]
    judged = {line["seed"]: Bound(line["gpu_hours"], line["replicas"]) for line in own}
    return Bounds(Bound(*own[0]["tuned"]), judged)


def bound_case(case: Case) -> list[Line]:
    """The clairvoyant, and what needs no tuning: static peak and the published settings."""
    first = min(case.parts)
    plan, ran = foresee(case.scenario, case.parts[first][0], first)
    tuned = Bound(ran.gpu_hours, plan.replicas)
    judged: dict[int, Bound] = {}
    lines: list[Line] = []
    for seed, (_, judge) in case.parts.items():
        plan, ran = foresee(case.scenario, judge, seed)
        judged[seed] = Bound(ran.gpu_hours, plan.replicas)
        known = {"replicas": plan.replicas, "tuned": [tuned.gpu_hours, tuned.replicas]}
        lines.append(_line(case, CLAIRVOYANT, seed, judged[seed], ran) | known)
        highest = max(size for _, size in plan.orders)
        fixed: list[Scaler] = [Static(highest, "static peak")]
        fixed += [one.build(case.scenario) for one in published()]
        for scaler in fixed:
            replicas = highest if isinstance(scaler, Static) else judged[seed].replicas
            ran = drive(case.scenario, judge, scaler, seed, replicas)
            lines.append(_line(case, scaler.name, seed, judged[seed], ran))
    return lines


def _line(case: Case, name: str, seed: int, bound: Bound, ran: Outcome) -> Line:
    return _base(case, name, seed) | {
        "level": None,
        "cost": ran.gpu_hours / bound.gpu_hours,
        "gpu_hours": ran.gpu_hours,
        "missed": ran.miss_minutes,
        "minutes": ran.minutes,
        "late_share": ran.late_share,
        "events": ran.scale_events,
    }


def _base(case: Case, name: str, seed: int) -> Line:
    cold_start = round(case.scenario.starts.total)
    return {"trace": case.name, "cold_start": cold_start, "who": name, "seed": seed}


def judge(case: Case, name: str, bounds: Bounds, effort: Effort) -> list[Line]:
    """One contestant on one trace: tuned where it has knobs, then judged at each level."""
    who = next(one for one in contestants() if one.name == name)
    chosen, guess = _chosen(case, who, bounds.tuned, effort)
    if who.look_on is not None:
        first = min(case.parts)
        known = who.look_on(case.scenario, case.parts[first][0], first, bounds.tuned.replicas)
        who = replace(who, build=known)
    lines = []
    for seed, (_, trace) in case.parts.items():
        bound = bounds.judged[seed]
        for setting, levels in _by_setting(chosen):
            run = _runner(case, who, setting, trace, seed, bound)
            runs = Frontier(run, who.cost, guess)
            for level in levels:
                found = runs.approach(level * bound.gpu_hours, effort.refinements)
                lines.append(_judged(case, who, seed, level, setting, bound, found))
    return lines


def _by_setting(chosen: Sequence[Setting]) -> list[tuple[Setting, list[float]]]:
    """What is the same for several levels is run once."""
    found: list[tuple[Setting, list[float]]] = []
    for level, setting in zip(LEVELS, chosen, strict=True):
        same = next((levels for other, levels in found if other == setting), None)
        if same is None:
            found.append((setting, [level]))
        else:
            same.append(level)
    return found


def _chosen(
    case: Case, who: Contestant, bound: Bound, effort: Effort
) -> tuple[list[Setting], float]:
    """The best setting for each level on the part to tune on, and about where its cost knob is."""
    if not who.knobs:
        return [{} for _ in LEVELS], 0.4
    seed = min(case.parts)
    trace = case.parts[seed][0]
    guess = 0.4

    def score(setting: Setting) -> tuple[float, ...]:
        nonlocal guess
        run = _runner(case, who, setting, trace, seed, bound)
        runs, scores = Frontier(run, who.cost, guess), []
        for level in LEVELS:
            budget = level * bound.gpu_hours
            scores.append(_score(runs.approach(budget, effort.tuning_refinements), budget))
        guess = runs.guess
        return tuple(scores)

    tried = tune(who.knobs, score, effort.evaluations)
    best = [min(tried, key=lambda t: t.scores[i]).setting for i in range(len(LEVELS))]
    return best, guess


def _score(found: AtCost, budget: float) -> float:
    """Missed minutes; who cannot be that cheap comes after all who can, the nearest first."""
    return found.missed if found.reached else 1e9 * found.gpu_hours / budget


def _runner(
    case: Case, who: Contestant, setting: Setting, trace: Trace, seed: int, bound: Bound
) -> Run:
    scenario = case.scenario
    if who.every_step:
        scenario = replace(scenario, tick=scenario.step)

    def run(knob: float) -> Point:
        scaler = who.build(setting, knob, scenario, case.mean)
        ran = drive(scenario, trace, scaler, seed, bound.replicas)
        return Point(knob, ran.gpu_hours, ran.miss_minutes, ran.scale_events)

    return run


def _judged(
    case: Case,
    who: Contestant,
    seed: int,
    level: float,
    setting: Setting,
    bound: Bound,
    found: AtCost,
) -> Line:
    return _base(case, who.name, seed) | {
        "level": level,
        "cost": found.gpu_hours / bound.gpu_hours,
        "gpu_hours": found.gpu_hours,
        "missed": found.missed,
        "reached": found.reached,
        "events": found.events,
        "knob": found.knob,
        "setting": dict(setting),
    }
