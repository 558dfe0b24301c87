"""From single runs to who won: means over seeds, the best of the others, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

OURS = "ours"
# Our aim, and how much worse we may never be.
TIMES, WORSE = 2.0, 1.05
# Fewer minutes than this are no difference: half a minute of rounding between two runs.
TELLING = 0.5

Line = dict[str, Any]
Verdict = Literal["won", "better", "even", "worse", "too dear"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One contestant on one trace at one level: means over seeds; `spread` half their range.

    `reached` False: in some seed its cheapest run costs more than the level; `cost` then says
    how much.
    """

    who: str
    missed: float
    spread: float
    events: float
    cost: float
    reached: bool
    knob: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One trace at one level. `others` by name; `best` of those that can be that cheap."""

    trace: str
    ours: Standing
    others: tuple[Standing, ...]

    @property
    def best(self) -> Standing | None:
        able = [other for other in self.others if other.reached]
        return min(able, key=lambda other: other.missed, default=None)

    @property
    def verdict(self) -> Verdict:
        """won: at least TIMES fewer missed minutes. even: also where neither misses any."""
        best = self.best
        if not self.ours.reached:
            return "too dear" if best is not None else "even"
        if best is None:
            return "won"
        ours, theirs = self.ours.missed, best.missed
        if ours > WORSE * theirs and ours - theirs >= TELLING:
            return "worse"
        if theirs >= TIMES * ours and theirs - ours >= TELLING:
            return "won"
        return "better" if theirs - ours >= TELLING else "even"


def rows(lines: Iterable[Line], cold_start: int, level: float) -> list[Row]:
    """In the order in which the traces first appear."""
    chosen = [
        line
        for line in lines
        if line.get("level") == level and line.get("cold_start") == cold_start
    ]
    found = []
    for trace in dict.fromkeys(line["trace"] for line in chosen):
        here = [line for line in chosen if line["trace"] == trace]
        standings = {
            who: standing(here, who) for who in dict.fromkeys(line["who"] for line in here)
        }
        ours = standings.pop(OURS, None)
        if ours is not None:
            found.append(Row(trace, ours, tuple(standings.values())))
    return found


def fixed(lines: Iterable[Line], cold_start: int) -> list[Line]:
    """Runs at whatever they cost: the clairvoyant, static peak, published settings."""
    return [
        line
        for line in lines
        if line.get("level", 0) is None and line.get("cold_start") == cold_start
    ]


def standing(lines: Sequence[Line], who: str) -> Standing:
    own = [line for line in lines if line["who"] == who]
    missed = [line["missed"] for line in own]
    knobs = [line["knob"] for line in own if "knob" in line]
    return Standing(
        who,
        fmean(missed),
        (max(missed) - min(missed)) / 2,
        fmean(line["events"] for line in own),
        fmean(line["cost"] for line in own),
        all(line.get("reached", True) for line in own),
        fmean(knobs) if knobs else None,
    )
