"""A long range as pieces that Prometheus answers: bounded in points and in bytes.

Pieces begin at whole multiples of their length since 1970, so that the next backtest of the same
target asks for the same pieces, and finds them on disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_POINTS = 11_000  # Prometheus refuses more per series
MOST_BYTES = 24 * 2**20  # of one answer; a point is about 26 bytes of JSON
POINT_BYTES = 26
LEAST_POINTS = 256  # a piece this short that is refused is refused for good


@dataclass(frozen=True, slots=True, order=True)
class Chunk:
    """Points at start, start + step, … up to end, both included. Whole seconds."""

    start: int
    end: int
    step: int

    @property
    def points(self) -> int:
        return (self.end - self.start) // self.step + 1

    def halves(self) -> tuple[Chunk, Chunk] | None:
        """None where it is short enough that length is not what is wrong with it."""
        if self.points < 2 * LEAST_POINTS:
            return None
        middle = self.start + self.points // 2 * self.step
        return Chunk(self.start, middle - self.step, self.step), Chunk(middle, self.end, self.step)


def chunks(start: int, end: int, step: int, series: int = 1) -> list[Chunk]:
    """`series`: expected in an answer. `start` and `end` are multiples of `step`.

    14 days at 15 s are 80,641 points: 8 or 9 pieces of 165,000 s; of 200 series, 16 or 17 of
    82,500 s.
    """
    points = MOST_POINTS
    while points > LEAST_POINTS and points * POINT_BYTES * max(1, series) > MOST_BYTES:
        points = math.ceil(points / 2)
    length = points * step
    found = []
    at = start
    while at <= end:
        last = min(end, (at // length + 1) * length - step)
        found.append(Chunk(at, last, step))
        at = last + step
    return found
