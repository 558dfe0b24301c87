"""Clock jumps: the wall clock set forward or back while the daemon runs.

State holds wall-clock times (it survives restarts), but what they mean is time that has passed.
When the wall clock jumps by J against the monotonic one, every time in the state moves by J too:
a clock set forward an hour ends no cooldown early and empties no stabilization window, one set
back an hour does not add an hour to them. After a suspend, during which the monotonic clock
stood still, this errs towards waiting longer.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.clock import Clock
from autoscaler.model import State

# Slewing (500 ppm) moves a clock by 2.5 ms in a 5 s tick; a second between two ticks is a jump.
TOLERANCE = 1.0


class JumpWatch:
    """Compares the wall clock with the monotonic one from tick to tick."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None

    def look(self) -> float:
        """Seconds that the wall clock jumped since the last look; 0.0 when it did not."""
        offset = self._clock.now() - self._clock.monotonic()
        before, self._offset = self._offset, offset
        if before is None or abs(offset - before) <= TOLERANCE:
            return 0.0
        return offset - before


def shift(state: State, seconds: float) -> State:
    """The same state with every time in it moved by `seconds`."""

    def moved(at: float | None) -> float | None:
        return None if at is None else at + seconds

    def all_moved(entries: tuple, /) -> tuple:  # type: ignore[type-arg]
        return tuple(replace(entry, at=entry.at + seconds) for entry in entries)

    return replace(
        state,
        recommendations=all_moved(state.recommendations),
        scale_ups=all_moved(state.scale_ups),
        scale_downs=all_moved(state.scale_downs),
        scaled_at=moved(state.scaled_at),
        order=None if state.order is None else replace(state.order, at=state.order.at + seconds),
        blind_since=moved(state.blind_since),
        calm_since=moved(state.calm_since),
        bracket=replace(
            state.bracket,
            kept_at=moved(state.bracket.kept_at),
            broken_at=moved(state.bracket.broken_at),
        ),
    )


def newest(state: State) -> float | None:
    """The latest time in a state that was taken from the clock (not one computed ahead)."""
    times = [entry.at for entry in state.recommendations]
    times += [event.at for event in (*state.scale_ups, *state.scale_downs)]
    times += [at for at in (state.scaled_at, state.blind_since, state.calm_since) if at is not None]
    if state.order is not None:
        times.append(state.order.at)
    return max(times, default=None)
