"""What one tick leaves for the next: settled orders, recommendations, blindness, calm."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide.behavior import record
from autoscaler.model import Recommendation, State


def settle(state: State, current: int, now: float, *, sizes_are_exact: bool = True) -> State:
    """Compare what was ordered with what is there.

    The order was carried out: it becomes a scale event and starts the cooldown, dated when it
    was given. The size has not moved: the write failed, or this is a dry run; the order is
    dropped and blocks nothing. Another size: somebody else scaled; the cooldown starts now, but
    as with the HPA that is no event for the rate policies. Sizes that are counted from series are
    not exact: a pod whose scrapes were lost is nobody's scaling.
    """
    state = _not_in_the_future(state, now)
    order, state = state.order, replace(state, order=None)
    if order is not None and current == order.after:
        change = abs(order.after - order.before)
        if order.after > order.before:
            ups = record(state.scale_ups, change, order.at, order.longest_period)
            state = replace(state, scale_ups=ups)
        else:
            downs = record(state.scale_downs, change, order.at, order.longest_period)
            state = replace(state, scale_downs=downs)
        state = replace(state, scaled_at=order.at)
    elif sizes_are_exact and state.replicas is not None and current != state.replicas:
        state = replace(state, scaled_at=now)
    if not state.recommendations:
        # First sight: the size found is a wish too, so nothing shrinks before a whole window.
        state = replace(state, recommendations=(Recommendation(now, current),))
    return replace(state, replicas=current)


def _not_in_the_future(state: State, now: float) -> State:
    """A clock set back would make every window endless: what lies ahead of now happened now."""
    if not any(at > now for at in _times(state)):
        return state
    return replace(
        state,
        recommendations=tuple(replace(r, at=min(r.at, now)) for r in state.recommendations),
        scale_ups=tuple(replace(e, at=min(e.at, now)) for e in state.scale_ups),
        scale_downs=tuple(replace(e, at=min(e.at, now)) for e in state.scale_downs),
        scaled_at=_earlier(state.scaled_at, now),
        blind_since=_earlier(state.blind_since, now),
        calm_since=_earlier(state.calm_since, now),
        joined_at=_earlier(state.joined_at, now),
        order=replace(state.order, at=min(state.order.at, now)) if state.order else None,
    )


def _times(state: State) -> list[float]:
    single = [state.scaled_at, state.blind_since, state.calm_since, state.joined_at]
    single.append(state.order.at if state.order else None)
    times = [at for at in single if at is not None]
    times += [entry.at for entry in state.recommendations]
    return times + [entry.at for entry in (*state.scale_ups, *state.scale_downs)]


def _earlier(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)
