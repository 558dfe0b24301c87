"""A capacity in the policy that is belied by what is seen: too high, or well too low."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.decide.bracket import FRESH, STEP
from autoscaler.decide.context import Context
from autoscaler.model import Tested
from autoscaler.units import format_minute, format_number, format_share

# A sweep of a few seconds a point and a mean of five minutes differ by a tenth without any fault.
TOO_HIGH = 0.9
# Arrivals above the figure for a whole slow window: a fifth more is no noise, and a sixth of the
# GPUs could go.
TOO_LOW = 1.2
# What nothing confirmed for so long is no news any more: seven weeks, where `kept` counts for half.
OLD = FRESH + 5 * STEP

MEASURE = "measure again and read the result with `triton-autoscaler profile`"


@dataclass(frozen=True, slots=True)
class Doubt:
    """The share of the capacity that broke the SLA, or kept it well above 1; and what to do."""

    share: float
    note: str  # the same for as long as the same evidence stands


def find(ctx: Context, tested: Tested | None) -> Doubt | None:
    if tested is None or ctx.load is None or tested.capacity != ctx.load.words:
        return None  # another figure stands in the policy now
    bracket = tested.bracket
    broken, kept = bracket.broken, bracket.kept
    if broken is not None and broken < TOO_HIGH and _recent(ctx, bracket.broken_at):
        did = f"broke the SLA on {format_minute(bracket.broken_at or 0.0)}: it no longer holds"
        remedy = f"{MEASURE}, or look what holds the replicas up"
        return Doubt(broken, f"{_load(ctx, tested, broken)} {did}; {remedy}")
    if ctx.policy.sla.latency:
        return None  # the latency that limits it is not seen here: queue time may well be short
    if kept is not None and kept > TOO_LOW and _recent(ctx, bracket.kept_at):
        did = f"kept the SLA on {format_minute(bracket.kept_at or 0.0)}: fewer replicas might do"
        return Doubt(kept, f"{_load(ctx, tested, kept)} {did}; {MEASURE}")
    return None


def _load(ctx: Context, tested: Tested, share: float) -> str:
    """With the rate where the capacity is one figure: 250/s per replica, 74% of …"""
    said, capacity = "", ctx.policy.capacity
    if capacity is not None and capacity.requests_per_second is not None:
        said = f"{format_number(share * capacity.requests_per_second)}/s per replica, "
    return f"{said}{format_share(share)} of the capacity in the policy ({tested.capacity}),"


def _recent(ctx: Context, at: float | None) -> bool:
    return at is not None and ctx.now - at <= OLD
