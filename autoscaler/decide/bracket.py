"""The bracket of a learned capacity: how evidence moves its ends, and what age takes from it.

Age only ever makes the fleet larger. `kept` is what is sized by, so it counts for less the longer
nothing confirmed it, never for nothing; `broken` sizes nothing, so it stays: dropped, nothing would
be known of the capacity, and a fleet of which nothing is known may be let go one by one.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Bracket
from autoscaler.units import format_minute, format_number

# Breaking the SLA below this share of what was kept before is no question of load.
FAULTY = 0.5

DAY = 86_400.0
# Traffic has a week: who came near it in neither of two has not looked at it.
FRESH = 14 * DAY
# From then on a tenth is taken off, and another one each week: a fleet of 8 gets a ninth replica,
# a tenth one a week later.
STEP, LOSS = 7 * DAY, 0.1
# Where capacity fell by more than half, FAULTY says, it is a fault and no question of age.
LEAST = 0.5
# Sized by `kept`, n replicas carry (n - 1)/n of what they may or more: from two on, half of it.
CONFIRMS = 0.5


def believed(bracket: Bracket, now: float) -> float | None:
    """`kept`, less what its age takes: 212/s that nothing confirmed for 3 weeks are 170/s."""
    if bracket.kept is None:
        return None
    return bracket.kept * weight(_last_confirmed(bracket), now)


def weight(confirmed_at: float | None, now: float) -> float:
    """1.0 for two weeks, 0.9 for the third, 0.8 for the fourth, …, 0.5 from the seventh on."""
    if confirmed_at is None:
        return LEAST  # of unknown age
    overdue = now - confirmed_at - FRESH
    if overdue <= 0:
        return 1.0
    return max(LEAST, 1.0 - LOSS * (1 + overdue // STEP))


def is_fresh(at: float | None, now: float) -> bool:
    return at is not None and now - at <= FRESH


def when_kept(bracket: Bracket, rate: float, headroom: float, now: float) -> Bracket:
    """The SLA was kept at this rate: more than ever before, or enough to confirm what was."""
    known = bracket.kept or 0.0
    if rate > known:
        if bracket.broken is not None and bracket.broken <= rate:  # it holds again
            return Bracket(kept=rate, kept_at=now)
        return replace(bracket, kept=rate, kept_at=now, kept_confirmed_at=None)
    used = (believed(bracket, now) or 0.0) * (1 - headroom)
    last = _last_confirmed(bracket)
    # Once a day will do against two weeks: each change of the state is a write.
    if rate <= 0 or rate < CONFIRMS * used or (last is not None and now - last < DAY):
        return bracket
    return replace(bracket, kept_confirmed_at=now)


def when_broken(bracket: Bracket, rate: float, waiting: float, now: float) -> Bracket:
    """Load broke the SLA at this rate, unless something else did.

    Load that breaks it keeps at least one request waiting per replica, all the time. And a replica
    that carried 300/s and breaks at 4/s is stalled or throttled: that is a fault, no capacity.
    """
    faulty = bracket.kept is not None and rate < FAULTY * bracket.kept
    if rate <= 0 or waiting < 1 or faulty:
        return bracket
    lower = bracket.broken is None or rate < bracket.broken
    if not lower and is_fresh(bracket.broken_at, now):
        return bracket
    if bracket.kept is not None and bracket.kept < rate:
        return replace(bracket, broken=rate, broken_at=now)
    return Bracket(broken=rate, broken_at=now)  # it kept more once: the model or its input changed


def words(bracket: Bracket, now: float) -> str:
    """`212/s kept the SLA on 2026-11-20 14:05 UTC, 260/s broke it on …`; empty for nothing."""
    said = []
    if bracket.kept:
        text = f"{format_number(bracket.kept)}/s kept the SLA{_on(bracket.kept_at)}"
        last, worth = _last_confirmed(bracket), believed(bracket, now)
        if worth is not None and worth < bracket.kept:
            ago = "" if last is None else f" for {(now - last) / DAY:.0f} days"
            text += f" (not confirmed{ago}: counted as {format_number(worth)}/s)"
        said.append(text)
    if bracket.broken is not None:
        what = "it" if said else "the SLA"
        said.append(f"{format_number(bracket.broken)}/s broke {what}{_on(bracket.broken_at)}")
    return ", ".join(said)


def _last_confirmed(bracket: Bracket) -> float | None:
    return bracket.kept_at if bracket.kept_confirmed_at is None else bracket.kept_confirmed_at


def _on(at: float | None) -> str:
    return "" if at is None else f" on {format_minute(at)}"
