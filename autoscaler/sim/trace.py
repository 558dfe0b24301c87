"""Requests over time as counts per bin: what the simulator is driven by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

# From this many seconds on a bin hides how the rate moved inside it: it is drawn as a line from
# middle to middle. Below, the bin is what happened.
COARSE = 30.0
# Fewer requests in a bin and its scatter is Poisson's own: 40 scatter by 16 %.
FEWEST = 40.0
# Variance over mean of 60-s counts about their trend, Poisson 1: Azure LLM 2023 4.33, NASA 1995
# 3.78, Mooncake 1.89.
DISPERSION = 4.0
WILDEST = 0.3


def usual_swing(rate: float) -> float:
    """Relative standard deviation of 60-s rates about their trend, at so many requests/s.

    sqrt(DISPERSION / (60 rate)): 11 % at 5.5/s (10 % in Azure's trace), 1.8 % at 200/s, 0.6 % at
    1,800/s: what many clients send evens out.
    """
    return min(WILDEST, math.sqrt(DISPERSION / (60 * rate))) if rate > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Trace:
    """`counts[i]` requests arrived in [start + i·bin, start + (i + 1)·bin). Unix time, seconds.

    Counts may be fractions, where they were scaled. Raises ValueError without a bin.
    """

    start: float
    bin: float
    counts: tuple[float, ...]
    name: str = ""
    _sums: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.counts or self.bin <= 0:
            raise ValueError("a trace has at least one bin, of positive width")
        sums = tuple(itertools.accumulate(self.counts, initial=0.0))
        object.__setattr__(self, "_sums", sums)

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def duration(self) -> float:
        return self.bin * len(self.counts)

    @property
    def total(self) -> float:
        return self._sums[-1]

    @property
    def mean(self) -> float:
        """Requests/s."""
        return self.total / self.duration

    @property
    def peak(self) -> float:
        """Requests/s of the highest bin."""
        return max(self.counts) / self.bin

    def rate(self, t: float) -> float:
        """Requests/s at Unix time t; 0 outside."""
        if not self.start <= t < self.end:
            return 0.0
        where = (t - self.start) / self.bin
        if self.bin < COARSE:
            return self.counts[int(where)] / self.bin
        left = math.floor(where - 0.5)
        share = where - 0.5 - left
        last = len(self.counts) - 1
        before, after = self.counts[max(0, left)], self.counts[min(last, left + 1)]
        return (before + (after - before) * share) / self.bin

    def requests(self, a: float, b: float) -> float:
        """Expected requests in [a, b): exact for fine bins; of coarse ones the middle's rate."""
        a, b = max(a, self.start), min(b, self.end)
        if b <= a:
            return 0.0
        if self.bin >= COARSE:
            return self.rate((a + b) / 2) * (b - a)
        return self._until(b) - self._until(a)

    def _until(self, t: float) -> float:
        where = (t - self.start) / self.bin
        index = min(int(where), len(self.counts) - 1)
        return self._sums[index] + self.counts[index] * (where - index)

    def part(self, a: float, b: float) -> Trace:
        """The whole bins that begin in [a, b), in seconds since its start.

        Raises ValueError where there is none.
        """
        first = max(0, math.ceil(a / self.bin - 1e-9))
        last = min(len(self.counts), math.ceil(b / self.bin - 1e-9))
        if last <= first:
            raise ValueError(f"no bin of {self.name or 'the trace'} begins in {a:g} s to {b:g} s")
        start = self.start + first * self.bin
        return replace(self, start=start, counts=self.counts[first:last])

    def rebinned(self, bins: int) -> Trace:
        """Each `bins` bins as one; what is left over at the end is dropped."""
        whole = len(self.counts) - len(self.counts) % bins
        if bins <= 1 or not whole:
            return self
        counts = tuple(sum(self.counts[at : at + bins]) for at in range(0, whole, bins))
        return replace(self, bin=self.bin * bins, counts=counts)

    def scaled(self, mean_replicas: float, capacity: float) -> Trace:
        """The same shape with a mean of so many replicas' worth, one of which is `capacity`/s.

        Bins are joined until they hold FEWEST requests on average: multiplied noise is no
        traffic. 5.5 requests/s in bins of 1 s scatter by 43 %; times 1,000 that would be a rate
        that jumps by 43 % each second, where 5,500/s scatter by 1.3 %. In bins of 8 s it is 15 %.
        """
        if self.total <= 0:
            raise ValueError(f"{self.name or 'the trace'} has no requests: nothing to scale")
        joined = self.rebinned(math.ceil(FEWEST / (self.mean * self.bin)))
        factor = mean_replicas * capacity / joined.mean
        return replace(joined, counts=tuple(count * factor for count in joined.counts))

    def shifted(self, start: float) -> Trace:
        """The same from another moment on."""
        return replace(self, start=start)

    def minutes(self) -> Iterator[float]:
        """Requests of each whole minute."""
        for minute in range(int(self.duration // 60)):
            yield self.requests(self.start + 60 * minute, self.start + 60 * minute + 60)
