"""What of a state must be written, and when: a fleet's history is long, what matters of it short.

A recommendation a tick is 720 of them in a window of an hour, 29 kB a policy. But stabilization
asks only for the highest and the lowest inside its window, and whether a size is inside depends on
when it was wished *last*: one entry per distinct size says the same.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import NO_FORECASTS, Recommendation, State
from autoscaler.run.state import Remembered

# A saved policy is forgotten a day after it was last decided with: an hour's error is allowed.
LONGEST_UNSAVED = 3600.0


def condensed(state: State) -> State:
    """The same state for every decision to come, with one recommendation per distinct size."""
    latest: dict[int, Recommendation] = {}
    for entry in state.recommendations:
        known = latest.get(entry.replicas)
        if known is None or entry.at > known.at:
            latest[entry.replicas] = entry
    kept = tuple(sorted(latest.values(), key=lambda entry: entry.at))
    return replace(state, recommendations=kept)


def must_save(kept: Remembered, saved: Remembered | None, pace: float) -> bool:
    """Whether a policy's state, condensed, has to be written now.

    At once where anything differs but the times of its wishes: an order, a cooldown, a contest, a
    size wished for the first time, or another one wished last. A fleet that wishes the same as
    before waits for `pace` seconds.
    """
    if saved is None:
        return True
    if kept.state == saved.state:
        return not 0 <= kept.at - saved.at < LONGEST_UNSAVED
    # A time before the saved one: the clock was set back.
    return _essence(kept.state) != _essence(saved.state) or not 0 <= kept.at - saved.at < pace


def completed(saved: Remembered, pace: float, now: float) -> Remembered:
    """A saved state with the history that `must_save` may have kept back from it.

    The last wish was repeated for up to `pace` seconds without a save. Taking it for repeated to
    the end of them keeps every window at least as long as the writer would have kept it.
    """
    wishes = saved.state.recommendations
    last = max(wishes, key=lambda entry: entry.at, default=None)
    if last is None or pace <= 0:
        return saved
    until = min(now, saved.at + pace)
    if until <= last.at:
        return saved
    more = (*wishes, Recommendation(until, last.replicas))
    return replace(saved, state=replace(saved.state, recommendations=more))


def _essence(state: State) -> tuple[State, tuple[int, ...]]:
    """Forecasts remember something at each tick, and a season is no worse for a lost minute."""
    sizes = tuple(r.replicas for r in state.recommendations)
    return replace(state, recommendations=(), forecast=NO_FORECASTS), sizes
