"""What a tick teaches of capacity, in requests/s per replica and in shares of what the policy says.

Evidence is a whole slow window of a size and a software that stood still, or the rate per replica
would be divided by a number of replicas that did not carry it; and every pod's word, or the rate of
those that speak would be divided by all. While a rollout is under way nothing is learned, and what
was learned of another image, or of another version of a model, is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.decide import doubt, software
from autoscaler.decide.bracket import DAY, when_broken, when_kept
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import queue_time
from autoscaler.model import Bracket, Software, State, Tested
from autoscaler.units import format_minute

NOTHING = Bracket()


@dataclass(frozen=True, slots=True)
class Lesson:
    """What changes in the state, and what is worth knowing. `belied`: see `doubt.Doubt`."""

    changes: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    belied: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the SLA fared over one slow window. `rate`: requests/s per replica that arrived where it
    was kept, that completed where it was broken: the rest of those that came were not carried.
    """

    kept: bool
    rate: float
    share: float | None  # the same of the policy's own capacity; None where that gives none
    waiting: float  # requests per replica


def learn(ctx: Context, overloaded: bool) -> Lesson:
    changes, said = _changes(ctx, overloaded)
    doubted = doubt.find(ctx, changes.get("tested", ctx.state.tested))
    said += _anew(ctx, changes.get("software", ctx.state.software))
    if doubted is None:
        return Lesson(changes, said)
    return Lesson(changes, (*said, doubted.note), doubted.share)


def _changes(ctx: Context, overloaded: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Of the state, and why there are none."""
    total = ctx.fleet.total
    told = total.waited_slow.complete and total.arrivals_slow.complete
    if ctx.policy.sla.queue_time is None or not told or not ctx.fleet.serving:
        return {}, ()
    found = software.running(ctx.fleet, ctx.now)
    if isinstance(found, str):
        return {}, (f"{found} serve side by side: no capacity is learned",)
    if ctx.observation.hands.rollout is not None:
        return {}, ()
    changes = _follow(ctx, found)
    if "bracket" not in changes and _settled(ctx):
        evidence = _evidence(ctx, overloaded)
        if evidence is not None:
            changes |= _taught(ctx, evidence)
    return changes, ()


def _follow(ctx: Context, found: Software) -> dict[str, Any]:
    """A new image or version: what was learned of the one before is forgotten."""
    known = ctx.state.software
    if known is None:
        return {"software": found}
    if (found.image, found.versions) == (known.image, known.versions):
        return {}
    changed = software.change(known, found, ctx.fleet)
    same = software.completed(known, found, ctx.fleet)
    if changed is None:
        return {} if same == known else {"software": same}
    # A second rollout on the same day: what the first one cost has not come back yet.
    became = changed if _anything_learned(ctx.state) or known.became else None
    runs = replace(same, seen_at=ctx.now, became=became)
    return {"software": runs, "bracket": NOTHING, "tested": None}


def _anything_learned(state: State) -> bool:
    return state.bracket != NOTHING or state.tested is not None


def _settled(ctx: Context) -> bool:
    """Watched for a whole slow window, in which nothing moved, and nothing is about to.

    A replica that was ordered ten minutes ago and is Ready since one has carried a fifth of it.
    """
    state, slow = ctx.state, ctx.fleet.windows.slow
    if state.software is None or ctx.fleet.arriving:
        return False
    # A clock that was set back by a year does not stop learning for a year.
    if 0 <= ctx.now - state.software.seen_at < slow:
        return False
    moved = max(state.scaled_at or 0.0, state.joined_at or 0.0)
    return ctx.now - moved >= slow


def _evidence(ctx: Context, overloaded: bool) -> Evidence | None:
    limit, total, serving = ctx.policy.sla.queue_time, ctx.fleet.total, ctx.fleet.serving
    slow = queue_time(total, slow=True)
    if limit is None or slow is None:
        return None
    kept = slow <= limit
    if kept and overloaded:
        return None
    arrived = total.arrivals_slow.value
    rate = arrived if kept else total.completions_slow.value
    load, share = ctx.load, None
    if ctx.policy.capacity is not None and load is not None:
        untold = load.missing or load.missing_slow or arrived <= 0
        share = None if untold else load.slow * rate / arrived / serving
    return Evidence(kept, rate / serving, share, total.waited_slow.top / serving)


def _taught(ctx: Context, evidence: Evidence) -> dict[str, Any]:
    state, changes = ctx.state, dict[str, Any]()
    bracket = _moved(ctx, state.bracket, evidence, evidence.rate)
    if bracket is not state.bracket:
        changes["bracket"] = bracket
    if evidence.share is not None and ctx.load is not None:
        tested = state.tested
        if tested is None or tested.capacity != ctx.load.words:
            tested = Tested(ctx.load.words)
        bracket = _moved(ctx, tested.bracket, evidence, evidence.share)
        if bracket is not tested.bracket:
            changes["tested"] = replace(tested, bracket=bracket)
    return changes


def _moved(ctx: Context, bracket: Bracket, evidence: Evidence, rate: float) -> Bracket:
    if evidence.kept:
        return when_kept(bracket, rate, ctx.policy.headroom, ctx.now)
    return when_broken(bracket, rate, evidence.waiting, ctx.now)


def _anew(ctx: Context, runs: Software | None) -> tuple[str, ...]:
    """For a day: whoever rolled it out, or comes to work the morning after, reads of it."""
    if runs is None or runs.became is None or ctx.now - runs.seen_at > DAY:
        return ()
    since = f"{runs.became} on {format_minute(runs.seen_at)}"
    if ctx.policy.capacity is not None:
        return (f"{since}: whether the capacity in the policy still holds is seen anew",)
    return (f"{since}: capacity is learned anew",)
