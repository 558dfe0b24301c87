"""Clock jumps: the wall clock set forward or back while the daemon runs.

State holds wall-clock times (it survives restarts), but what they mean is time that has passed.
When the wall clock jumps by J against the monotonic one, every time in the state moves by J too:
a clock set forward an hour ends no cooldown early and empties no stabilization window, one set
back an hour does not add an hour to them. After a suspend, during which the monotonic clock
stood still, this errs towards waiting longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from autoscaler.clock import Clock
from autoscaler.model import NO_FORECASTS, State

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
    moved: State = _moved(state, seconds)
    return moved


def newest(state: State) -> float | None:
    """The latest time of what has happened; the guesses of a forecast lie ahead."""
    return max(_times(replace(state, forecast=NO_FORECASTS)), default=None)


def _moved(value: Any, seconds: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(entry, seconds) for entry in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {
        field.name: held + seconds if is_time(field.name) else _moved(held, seconds)
        for field in fields(value)
        if (held := getattr(value, field.name)) is not None
    }
    return replace(value, **changes)


def _times(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for entry in value:
            yield from _times(entry)
    elif is_dataclass(value):
        for field in fields(value):
            held = getattr(value, field.name)
            if held is None:
                continue
            if is_time(field.name):
                yield held
            else:
                yield from _times(held)


def is_time(name: str) -> bool:
    """By the names that State gives its times: `at`, `scaled_at`, `blind_since`."""
    return name == "at" or name.endswith(("_at", "_since"))
