"""The same search for everybody: settings by trial, and the cost knob that meets a budget.

A setting is a value for each knob; beside it stands one cost knob, from cheap to dear. What counts
is how many minutes miss the SLA at a given cost, so that each setting is tried with a few values
of its cost knob, and read off in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, TypeAlias

Setting: TypeAlias = Mapping[str, Any]

STRIDE = 0.06  # of the cost knob's range: the first one away from the guess
NEAR = 1.01  # a run within 1 % of a budget meets it


class Point(NamedTuple):
    """One run: its cost knob, GPU-hours, missed minutes, changes of the replicas."""

    knob: float
    gpu_hours: float
    missed: float
    events: float


@dataclass(frozen=True, slots=True)
class CostKnob:
    """What is turned to spend more or less: `cheap` and `dear` are its ends."""

    name: str
    cheap: float
    dear: float
    logarithmic: bool = False

    def between(self, share: float) -> float:
        """0 is cheap, 1 is dear."""
        if self.logarithmic:
            return self.cheap * math.exp(share * math.log(self.dear / self.cheap))
        return self.cheap + (self.dear - self.cheap) * share


Run: TypeAlias = Callable[[float], Point]


class AtCost(NamedTuple):
    """Misses at a budget. `reached` False: its cheapest run costs more (missed is that run's), or
    its dearest costs less, which is no fault.
    """

    missed: float
    events: float
    knob: float
    gpu_hours: float
    reached: bool


class Frontier:
    """Runs of one setting, from cheap to dear, closest where budgets lie. Remembers all of them.

    `guess`: the share of the cost knob to begin with: where the last one met its budget.
    """

    def __init__(self, run: Run, knob: CostKnob, guess: float = 0.4) -> None:
        self._run, self._knob, self.guess = run, knob, guess
        self._tried: dict[float, Point] = {}

    @property
    def points(self) -> list[Point]:
        return [self._tried[share] for share in sorted(self._tried)]

    def approach(self, budget: float, refinements: int) -> AtCost:
        """Runs on both sides of the budget (GPU-hours), then `refinements` between them."""
        self._bracket(budget)
        for _ in range(refinements):
            share = self._between(budget)
            if share is None:
                break
            self._try(share)
        nearest = min(self._tried, key=lambda share: abs(self._tried[share].gpu_hours - budget))
        self.guess = nearest
        return at_cost(self.points, budget)

    def _try(self, share: float) -> float:
        if share not in self._tried:
            self._tried[share] = self._run(self._knob.between(share))
        return self._tried[share].gpu_hours

    def _bracket(self, budget: float) -> None:
        """From the guess on in growing strides, until the budget is passed or an end is reached."""
        share, stride = self.guess, STRIDE
        up = self._try(share) <= budget
        while (self._try(share) <= budget) == up:
            if share == (1.0 if up else 0.0):
                return
            share = min(1.0, share + stride) if up else max(0.0, share - stride)
            stride *= 2

    def _between(self, budget: float) -> float | None:
        """Where a line in log cost meets it; None where it is met, or out of reach."""
        below = [share for share, point in self._tried.items() if point.gpu_hours <= budget]
        above = [share for share, point in self._tried.items() if point.gpu_hours > budget]
        if not below or not above:
            return None
        low = max(below, key=lambda share: self._tried[share].gpu_hours)
        high = min(above, key=lambda share: self._tried[share].gpu_hours)
        cheap, dear = self._tried[low].gpu_hours, self._tried[high].gpu_hours
        if budget <= NEAR * cheap or dear <= NEAR * budget:
            return None
        way = math.log(budget / cheap) / math.log(dear / cheap)
        # A far run says little about the slope here: never closer than a fifth to either.
        return low + (high - low) * min(max(way, 0.2), 0.8)


def at_cost(points: Sequence[Point], budget: float) -> AtCost:
    """Read off between the runs just below and just above the budget.

    Or of a cheaper run that misses less: more cost is no merit, and where a knob tips the
    whole behaviour over, a line between both sides means nothing.
    """
    below = [point for point in points if point.gpu_hours <= budget]
    above = [point for point in points if point.gpu_hours > budget]
    if not below:
        cheapest = min(above, key=lambda point: point.gpu_hours)
        return AtCost(cheapest.missed, cheapest.events, cheapest.knob, cheapest.gpu_hours, False)
    best = min(below, key=lambda point: (point.missed, point.gpu_hours))
    found = AtCost(best.missed, best.events, best.knob, best.gpu_hours, True)
    if not above:
        return found
    low = max(below, key=lambda point: point.gpu_hours)
    high = min(above, key=lambda point: point.gpu_hours)
    share = (budget - low.gpu_hours) / (high.gpu_hours - low.gpu_hours)
    if low.missed + (high.missed - low.missed) * share >= best.missed:
        return found
    mixed = [a + (b - a) * share for a, b in zip(low, high, strict=True)]
    return AtCost(mixed[2], mixed[3], mixed[0], budget, True)


class Tried(NamedTuple):
    setting: Setting
    scores: tuple[float, ...]  # one for each budget; less is better


def tune(
    knobs: Mapping[str, Sequence[Any]],
    score: Callable[[Setting], tuple[float, ...]],
    evaluations: int,
    seed: int = 1,
) -> list[Tried]:
    """`evaluations` settings: the default (first values), draws, then neighbours of the best.

    The first half is drawn at random, so that no knob is forgotten; the second half changes one
    knob of the best so far by one place, turn by turn for each budget.
    """
    random = Random(f"tune {seed}")  # noqa: S311 -- a search, not a secret
    tried: list[Tried] = []
    for number in range(evaluations):
        if number == 0:
            setting = {name: values[0] for name, values in knobs.items()}
        elif number <= evaluations // 2:
            setting = {name: random.choice(values) for name, values in knobs.items()}
        else:
            budget = number % len(tried[0].scores)
            best = min(tried, key=lambda t: t.scores[budget])
            setting = _neighbour(knobs, best.setting, random)
        tried.append(Tried(setting, score(setting)))
    return tried


def _neighbour(
    knobs: Mapping[str, Sequence[Any]], setting: Setting, random: Random
) -> dict[str, Any]:
    name = random.choice([name for name, values in knobs.items() if len(values) > 1])
    values = list(knobs[name])
    place = values.index(setting[name]) + random.choice((-1, 1))
    return {**setting, name: values[place % len(values)]}
