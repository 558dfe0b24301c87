"""What one tick leaves for the next: settled orders, recommendations, blindness, calm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from autoscaler.decide import contest
from autoscaler.decide.behavior import record
from autoscaler.model import Hands, Order, Policy, Recommendation, State

NOBODY = Hands()
_NAMES = [field.name for field in fields(State)]
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_values = attrgetter(*_NAMES)


def settle(
    state: State,
    current: int,
    now: float,
    *,
    sizes_are_exact: bool = True,
    policy: Policy | None = None,
    hands: Hands = NOBODY,
) -> State:
    """Compare what was ordered with what is there.

    The order was carried out: it becomes a scale event and starts the cooldown, dated when it
    was given. The size has not moved: the write failed, or this is a dry run; the order is
    dropped and blocks nothing. Another size: somebody else scaled; the cooldown starts now, but
    as with the HPA that is no event for the rate policies, and where the replicas are ours to
    write (`policy`) it is a contest. Sizes that are counted from series are not exact: a pod
    whose scrapes were lost is nobody's scaling.
    """
    state = _not_in_the_future(state, now)
    order = contest.landed(state, current, now, hands)
    changes: dict[str, Any] = {"order": None, "replicas": current}
    if policy is not None and sizes_are_exact:
        changes |= contest.notice(policy, hands, state, current, now, order)
    if order is not None:
        changes |= _carried_out(state, order)
    elif sizes_are_exact and state.replicas is not None and current != state.replicas:
        changes["scaled_at"] = now
    if not state.recommendations:
        # First sight: the size found is a wish too, so nothing shrinks before a whole window.
        changes["recommendations"] = (Recommendation(now, current),)
    return changed(state, changes)


def changed(state: State, changes: Mapping[str, Any]) -> State:
    """The same state where nothing differs, as on most ticks; else one as `replace` makes it, of
    25 fields in half the time.
    """
    for name, value in changes.items():
        if getattr(state, name) != value:
            break
    else:
        return state
    values = list(_values(state))
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return State(*values)


def _carried_out(state: State, order: Order) -> dict[str, Any]:
    change = abs(order.after - order.before)
    if order.after > order.before:
        ups = record(state.scale_ups, change, order.at, order.longest_period)
        return {"scale_ups": ups, "scaled_at": order.at}
    downs = record(state.scale_downs, change, order.at, order.longest_period)
    return {"scale_downs": downs, "scaled_at": order.at}


def _not_in_the_future(state: State, now: float) -> State:
    """A clock set back would make every window endless: what lies ahead of now happened now."""
    if max(_times(state), default=now) <= now:
        return state
    pool, unseen = state.pool, state.unseen
    return replace(
        state,
        recommendations=tuple(_by(r, now) for r in state.recommendations),
        scale_ups=tuple(_by(e, now) for e in state.scale_ups),
        scale_downs=tuple(_by(e, now) for e in state.scale_downs),
        scaled_at=_earlier(state.scaled_at, now),
        blind_since=_earlier(state.blind_since, now),
        calm_since=_earlier(state.calm_since, now),
        joined_at=_earlier(state.joined_at, now),
        order=_by(state.order, now),
        written=_by(state.written, now),
        unseen=replace(unseen, order=_by(unseen.order, now)) if unseen else None,
        contest=_by(state.contest, now),
        arrivals=tuple(_by(a, now) for a in state.arrivals),
        cold_starts=tuple(_by(c, now) for c in state.cold_starts),
        pool=replace(
            pool,
            asked_at=_earlier(pool.asked_at, now),
            lost_since=_earlier(pool.lost_since, now),
            idle_since=_earlier(pool.idle_since, now),
            fallback_idle_since=_earlier(pool.fallback_idle_since, now),
        ),
    )


def _times(state: State) -> list[float]:
    """Every time in it; each list by its newest entry alone."""
    pool = state.pool
    moments = (
        state.scaled_at,
        state.blind_since,
        state.calm_since,
        state.joined_at,
        pool.asked_at,
        pool.lost_since,
        pool.idle_since,
        pool.fallback_idle_since,
    )
    found = [at for at in moments if at is not None]
    unseen = state.unseen.order if state.unseen else None
    events = (state.order, state.written, state.contest, unseen)
    found += [event.at for event in events if event is not None]
    lists = (
        state.recommendations,
        state.scale_ups,
        state.scale_downs,
        state.arrivals,
        state.cold_starts,
    )
    found += [max([entry.at for entry in entries]) for entries in lists if entries]
    return found


def _by(entry: Any, now: float) -> Any:
    """The same, no later than now."""
    return entry if entry is None or entry.at <= now else replace(entry, at=now)


def _earlier(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)
