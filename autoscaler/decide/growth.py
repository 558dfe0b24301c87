"""How far to grow where queue time or overload asks for more than there is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.decide.capacity import drain_within
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import Fleet
from autoscaler.model import State
from autoscaler.units import format_duration

# Of the current size: a step in the dark, and one where the load is known and nearly explains it.
BLIND_STEP, SIGHTED_STEP = 0.5, 0.1
# From so much of what the serving replicas are believed to carry; at less the belief is wrong.
NEARLY = 0.7


@dataclass(frozen=True, slots=True)
class Growth:
    """`answered`: why nothing more is ordered although more is asked for."""

    replicas: int
    answered: str | None = None


def grow(ctx: Context, load_is_known: bool = True) -> Growth:
    """What the load calls for where that is known and more than now, else a step.

    Half as many again where it is not: 1 → 2 → 3 → 5 → 8. Where requests are refused uncounted
    the measured load is only what got through, and sizing from it would answer with the size that
    is already too small. A tenth, and one at least, where the known load is near what they carry:
    then a burst has just passed, or the capacity is a little less than believed. Half of 12 would
    be 6 GPUs for as long as the scale-down window lasts, for a queue that is gone.

    Nobody orders twice for one shortage: replicas on their way will answer it, and for one fast
    window after one has joined, the figures still tell of the fleet without it. (On the recorded
    H200s the window read 32 ms when the fourth replica was back and nothing waited any more.)
    """
    current, step = ctx.current, BLIND_STEP
    if load_is_known and ctx.load is not None and ctx.load.raisable:
        near = ctx.load.missing is None and ctx.load.fast >= NEARLY * ctx.fleet.serving
        step = SIGHTED_STEP if near else BLIND_STEP
        sized = ctx.load.replicas(ctx.policy.headroom, drain_within(ctx.policy))
        if sized > current:
            return Growth(sized)
    arriving = ctx.fleet.arriving
    if arriving:
        be = "replica is" if arriving == 1 else "replicas are"
        return Growth(current, f"{arriving} {be} on the way")
    joined = ctx.state.joined_at
    if joined is not None and ctx.now - joined < ctx.fleet.windows.fast:
        ago = format_duration(ctx.now - joined)
        window = format_duration(ctx.fleet.windows.fast)
        return Growth(current, f"a replica joined {ago} ago, and {window} must show what it does")
    return Growth(current + math.ceil(current * step))


def joined_at(state: State, fleet: Fleet, now: float) -> float | None:
    """When the number of serving pods last grew."""
    grown = state.serving is not None and fleet.serving > state.serving
    return now if grown else state.joined_at
