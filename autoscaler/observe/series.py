"""A series' recent samples, and what they say per second.

What changed between the first and the last sample of the window is divided by the time between
those two, not by the window: a pod that is 20 s old in a window of 60 s has had 20 s to answer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right


class Series:
    """Samples (Unix time, value), oldest first. A counter's `grown` never falls.

    100 then 3 after a restart: 3 requests completed since then, so `grown` goes 100, 103.
    """

    __slots__ = ("_grown", "_lost", "times", "values")

    def __init__(self) -> None:
        self.times = array("d")
        self.values = array("d")
        self._grown = array("d")
        self._lost = 0.0  # what restarts took away so far

    def add(self, at: float, value: float) -> None:
        if self.times and at <= self.times[-1]:
            return  # a clock that jumped back: the sample's place in the order is unknown
        if self.values and value < self.values[-1]:
            self._lost += self.values[-1]
        self.times.append(at)
        self.values.append(value)
        self._grown.append(value + self._lost)

    def forget(self, before: float) -> None:
        count = bisect_right(self.times, before)
        if count:
            del self.times[:count], self.values[:count], self._grown[:count]

    def rate(self, start: float) -> float | None:
        """Growth of a counter per second since `start`, None under two samples."""
        return self._per_second(self._grown, start)

    def slope(self, start: float) -> float | None:
        """Change of a gauge per second since `start`, None under two samples."""
        return self._per_second(self.values, start)

    def within(self, start: float) -> array[float]:
        """The values later than `start`."""
        return self.values[bisect_right(self.times, start) :]

    def _per_second(self, values: array[float], start: float) -> float | None:
        """Change between the first and the last sample in the window, by the time between them."""
        first = bisect_right(self.times, start)
        if len(self.times) - first < 2:
            return None
        return (values[-1] - values[first]) / (self.times[-1] - self.times[first])
