"""A series' recent samples, and what PromQL would make of them.

Rates are Prometheus' own, extrapolation included, so that both sources give one figure: a pod
that is 20 s old in a window of 60 s has its requests divided by 60.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

# A gap to the window's edge under 1.1 times the usual spacing is the scrapes' rhythm.
_RHYTHM = 1.1


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

    def rate(self, start: float, end: float) -> float | None:
        """Growth of a counter per second over (start, end], None under two samples."""
        first = bisect_right(self.times, start)
        if len(self.times) - first < 2:
            return None
        growth = self._grown[-1] - self._grown[first]
        # A counter cannot have been below 0: that bounds how far back it is extrapolated.
        covered = self.times[-1] - self.times[first]
        zero = covered * self.values[first] / growth if growth > 0 else float("inf")
        return growth * self._stretch(first, start, end, zero) / (end - start)

    def slope(self, start: float, end: float) -> float | None:
        """Change of a gauge per second over (start, end], None under two samples."""
        first = bisect_right(self.times, start)
        if len(self.times) - first < 2:
            return None
        change = self.values[-1] - self.values[first]
        return change * self._stretch(first, start, end, float("inf")) / (end - start)

    def within(self, start: float) -> array[float]:
        """The values later than `start`."""
        return self.values[bisect_right(self.times, start) :]

    def _stretch(self, first: int, start: float, end: float, zero: float) -> float:
        """How much longer than its samples the series is taken to be, as a factor.

        Samples at 5, 10, 15 and 20 s of a window of 20 s: 15 s seen stand for 20, so 4/3. An
        edge further off than the rhythm means that the series began or ended inside the window:
        half a step is added there.
        """
        covered = self.times[-1] - self.times[first]
        step = covered / (len(self.times) - first - 1)
        before, after = self.times[first] - start, max(0.0, end - self.times[-1])
        before = before if before < _RHYTHM * step else step / 2
        after = after if after < _RHYTHM * step else step / 2
        return (covered + min(before, zero) + after) / covered
