"""Floors: what may only raise. The schedule, and the burst that overload calls for."""

from __future__ import annotations

from autoscaler.decide import overload
from autoscaler.decide.context import Context
from autoscaler.decide.growth import grow
from autoscaler.decide.schedule import open_since
from autoscaler.model import Schedule, Step
from autoscaler.units import format_duration


def scheduled(ctx: Context, replicas: int) -> Step | None:
    """The highest minimum of the open schedules."""
    best: Schedule | None = None
    began = 0.0
    for objective in ctx.policy.objectives:
        if isinstance(objective, Schedule) and (best is None or objective.min > best.min):
            since = open_since(objective, ctx.now)
            if since is not None:
                best, began = objective, since
    if best is None:
        return None
    left = format_duration(best.duration - (ctx.now - began))
    reason = f'schedule "{best.cron}" ({best.timezone}) asks for {best.min}'
    return Step("schedule", replicas, max(replicas, best.min), reason, f"it ends in {left}")


def burst(ctx: Context, replicas: int, found: overload.Overload | None) -> Step | None:
    """Grow while overloaded."""
    if found is None:
        return None
    more = grow(ctx, found.load_is_known)
    reason = found.reason + (f"; {more.answered}" if more.answered else "")
    return Step("overload", replicas, max(replicas, more.replicas), reason, found.flip)
