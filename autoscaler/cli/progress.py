"""How far a replay is: one line on stderr that rewrites itself, and a sum at the end."""

from __future__ import annotations

import sys

from autoscaler.cli.output import say
from autoscaler.cli.units import rfc3339


class Progress:
    def __init__(self, start: float, end: float) -> None:
        self._start = start
        self._end = end
        self._ticks = 0
        self._changes = 0
        self._live = sys.stderr.isatty()

    def at(self, now: float, changes: int) -> None:
        self._ticks += 1
        self._changes += changes
        if self._live:
            share = (now - self._start) / max(self._end - self._start, 1e-9)
            sys.stderr.write(f"\r{rfc3339(now)}  {min(share, 1.0):4.0%}  {self._changes} changes")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._live and self._ticks:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def done(self) -> None:
        self.clear()
        say(f"{self._ticks} ticks, {self._changes} changed decisions.")
