"""What the clients send: a shape over the day, a slow random swing, and (in the servers) Poisson.

The statistics follow those of real request traces (peak over mean of 60-s counts, rise within
5 minutes over the mean, and how much 60-s counts scatter about their trend; Azure LLM 2023:
1.53, 0.28, 10 %; a large model of Alibaba's: 2.98, 1.78; NASA 1995: 10, 7.1, 26 %; Mooncake: 1.21,
0.26, 7 %). The scatter is the part of the variance that Poisson does not explain:
(variance/mean - 1)/mean = relative variance of the rate, e.g. Azure (4.33 - 1)/332 = 0.10².
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.sim.draws import seeded


@dataclass(frozen=True, slots=True)
class Burst:
    """A surge that begins within `rise` seconds, stays, and fades."""

    at: float
    height: float  # as a multiple of the load beneath it: 0.6 adds 60 %
    rise: float
    stay: float
    fade: float

    def factor(self, t: float) -> float:
        since = t - self.at
        if since <= 0 or since >= self.rise + self.stay + self.fade:
            return 1.0
        if since < self.rise:
            return 1 + self.height * since / self.rise
        if since < self.rise + self.stay:
            return 1 + self.height
        return 1 + self.height * (self.rise + self.stay + self.fade - since) / self.fade


class Workload:
    """Requests/s at each moment since the start: deterministic for a seed.

    `shape` holds (seconds, requests/s) points, linear in between. `scatter` is the relative
    standard deviation of the swing, an autoregressive walk with memory of `memory` seconds.
    """

    _STEP = 1.0  # seconds between the points of the walk

    def __init__(
        self,
        shape: Sequence[tuple[float, float]],
        bursts: Sequence[Burst] = (),
        *,
        seed: int,
        scatter: float = 0.12,
        memory: float = 40.0,
    ) -> None:
        self._times = [at for at, _ in shape]
        self._rates = [rate for _, rate in shape]
        self._bursts = tuple(bursts)
        self._random = seeded(f"workload {seed}")
        self._scatter = scatter
        self._keep = math.exp(-self._STEP / memory)
        self._swing = [self._random.gauss(0, 1)]

    def rate(self, t: float) -> float:
        """Requests/s offered at t seconds after the start."""
        rate = self.trend(t)
        # exp(s·x - s²/2) has the mean 1: the swing changes no total.
        swing = self._scatter * self._walk(t) - self._scatter**2 / 2
        return rate * math.exp(swing)

    def trend(self, t: float) -> float:
        """The rate without its swing."""
        rate = self._interpolate(t)
        for burst in self._bursts:
            rate *= burst.factor(t)
        return rate

    def _interpolate(self, t: float) -> float:
        index = bisect.bisect_right(self._times, t)
        if index == 0:
            return self._rates[0]
        if index == len(self._times):
            return self._rates[-1]
        before, after = self._times[index - 1], self._times[index]
        share = (t - before) / (after - before)
        return self._rates[index - 1] * (1 - share) + self._rates[index] * share

    def _walk(self, t: float) -> float:
        index, share = divmod(max(0.0, t) / self._STEP, 1.0)
        innovation = math.sqrt(1 - self._keep**2)
        while len(self._swing) < index + 2:
            step = self._keep * self._swing[-1] + innovation * self._random.gauss(0, 1)
            self._swing.append(step)
        here, there = self._swing[int(index)], self._swing[int(index) + 1]
        return here * (1 - share) + there * share


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures in which traces are compared; counts are per 60 s."""

    mean: float  # requests/s
    peak_over_mean: float
    dispersion: float  # variance / mean of the counts, Poisson = 1
    scatter: float  # relative standard deviation of the rate about its trend
    rise: float  # largest growth of the 60-s rate within 5 minutes, over the mean


def statistics(counts: Sequence[int]) -> Statistics:
    """Of counts per second, as the traces' table defines them (trend = 5-minute windows)."""
    minutes = [sum(counts[at : at + 60]) for at in range(0, len(counts) - 59, 60)]
    mean = sum(minutes) / len(minutes)
    variance = sum((count - mean) ** 2 for count in minutes) / len(minutes)
    residual = _detrended_variance(minutes, 30)
    rise = max(later - now for at, now in enumerate(minutes) for later in minutes[at : at + 6])
    return Statistics(
        mean=mean / 60,
        peak_over_mean=max(minutes) / mean,
        dispersion=variance / mean,
        scatter=math.sqrt(max(0.0, residual / mean - 1) / mean),
        rise=rise / mean,
    )


def _detrended_variance(values: Sequence[float], width: int) -> float:
    """Median over windows of the variance about each window's straight line."""
    found = []
    for start in range(0, max(1, len(values) - width + 1), width):
        window = values[start : start + width]
        middle = (len(window) - 1) / 2
        average = sum(window) / len(window)
        spread = sum((x - middle) ** 2 for x in range(len(window))) or 1.0
        slope = sum((x - middle) * (y - average) for x, y in enumerate(window)) / spread
        line = (average + slope * (x - middle) for x in range(len(window)))
        found.append(sum((y - fit) ** 2 for y, fit in zip(window, line, strict=True)) / len(window))
    return sorted(found)[len(found) // 2]


def demo_workload(seed: int, unit: float = 1600.0) -> Workload:
    """15 minutes: quiet, a rising load, a burst, a peak, a decline. `unit` is a replica's worth."""
    shape = [(0, 0.9), (90, 1.0), (300, 2.9), (420, 3.1), (650, 3.3), (790, 1.2), (900, 1.0)]
    burst = Burst(at=430, height=0.5, rise=6, stay=60, fade=30)
    points = [(float(at), load * unit) for at, load in shape]
    return Workload(points, [burst], seed=seed, scatter=0.1, memory=40.0)
