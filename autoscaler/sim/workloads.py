"""Built-in workloads: our own, with the statistics of real services' traces.

What real ones look like (peak over mean of 60-s counts; largest rise of the 60-s rate within five
minutes over the mean; relative scatter of 60-s rates about their trend): Azure LLM 2023: 1.53,
0.28, 10 %; Mooncake 1.21, 0.26, 7 %; a large model of Alibaba's 2.98, 1.78; a mid-sized one 1.92,
1.44; NASA 1995: 9.96, 7.1, 26 %. Deterministic for a seed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from autoscaler.sim.draws import seeded
from autoscaler.sim.trace import Trace

BIN = 15.0  # s
DAY = 86400.0
MONDAY = 1_795_392_000.0  # Unix time, 00:00 UTC; multiples of a week away are Mondays, too
WORKLOADS = {
    "diurnal": "day and night of a consumer service; peak twice the mean, calm within minutes",
    "office": "working hours: steep mornings, a dip at noon, quiet nights and weekends",
    "bursty": "day and night with surges of minutes that nobody announces, 25 % scatter",
    "steps": "other services' jobs: levels that change at once and stay for an hour or so",
    "flash": "a quiet service that a crowd finds: several times the load within two minutes",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    rate: Callable[[float, Random], Callable[[float], float]]
    scatter: float  # relative standard deviation of the swing about the shape
    memory: float  # of the swing, s


def workload(name: str, seed: int = 1, days: float = 7.0, mean: float = 1.0) -> Trace:
    """Counts per 15 s from a Monday's midnight on, with a mean of so many requests/s.

    Raises KeyError for a name that is not in WORKLOADS.
    """
    shape = _SHAPES[name]
    random = seeded(f"{name} {seed}")
    bins = round(days * DAY / BIN)
    rate = shape.rate(days * DAY, random)
    keep = math.exp(-BIN / shape.memory)
    innovation, swing = math.sqrt(1 - keep**2), random.gauss(0, 1)
    rates = []
    for index in range(bins):
        at = (index + 0.5) * BIN
        rates.append(rate(at) * math.exp(shape.scatter * swing - shape.scatter**2 / 2))
        swing = keep * swing + innovation * random.gauss(0, 1)
    factor = mean * bins / sum(rates)
    return Trace(MONDAY, BIN, tuple(rate * factor * BIN for rate in rates), name)


def _hour(t: float) -> float:
    return t % DAY / 3600


def _diurnal(length: float, random: Random) -> Callable[[float], float]:
    """A sine whose peak differs by a tenth from day to day."""
    days = [1 + 0.1 * random.gauss(0, 1) for _ in range(math.ceil(length / DAY) + 1)]

    def rate(t: float) -> float:
        day, share = divmod(t / DAY, 1.0)
        height = days[int(day)] * (1 - share) + days[int(day) + 1] * share
        return height * (1 - 0.75 * math.cos(2 * math.pi * (_hour(t) - 3) / 24))

    return rate


def _office(length: float, random: Random) -> Callable[[float], float]:
    """From 0.15 at night to 1 between 8 and 18, up within 40 minutes; weekends a fifth of it."""
    late = [random.gauss(0, 0.2) for _ in range(math.ceil(length / DAY) + 1)]  # hours

    def rate(t: float) -> float:
        day, hour = int(t / DAY), _hour(t) - late[int(t / DAY)]
        work = _smooth((hour - 8) / 0.7) - _smooth((hour - 18) / 2)
        noon = 0.3 * math.exp(-(((hour - 12.5) / 0.5) ** 2))
        return 0.15 + max(0.0, work - noon) * (0.2 if day % 7 >= 5 else 1.0)

    return rate


def _bursty(length: float, random: Random) -> Callable[[float], float]:
    """Surges of 40 to 150 %, about twelve a day: up within one to three minutes."""
    base = _diurnal(length, random)
    times = _poisson_times(random, length, DAY / 12)
    surges = [
        (random.uniform(0.4, 1.5), random.uniform(60, 180), min(random.expovariate(1 / 600), 3600))
        for _ in times
    ]

    def rate(t: float) -> float:
        factor = 1.0
        for index in range(bisect_left(times, t - 5000), bisect_left(times, t)):
            height, rise, stay = surges[index]
            since = t - times[index]
            factor += height * (_ramp(since, rise) - _ramp(since - rise - stay, 3 * rise))
        return base(t) * factor

    return rate


def _steps(length: float, random: Random) -> Callable[[float], float]:
    """Levels between 0.3 and 2, each for an hour on average: no ramp to see it coming."""
    times = [0.0, *_poisson_times(random, length, 3600.0)]
    levels = [random.uniform(0.3, 2.0) for _ in times]

    return lambda t: levels[bisect_right(times, t) - 1]


def _flash(length: float, random: Random) -> Callable[[float], float]:
    """A crowd every other day: 3 to 6 times more within two minutes, gone over an hour."""
    base = _diurnal(length, random)
    crowds = [(at, random.uniform(3, 6)) for at in _poisson_times(random, length, 2 * DAY)]

    def rate(t: float) -> float:
        more = sum(
            height * _ramp(t - at, 120) * math.exp(-(t - at) / 1800)
            for at, height in crowds
            if at < t < at + 6 * 3600
        )
        return 0.6 * base(t) + more

    return rate


def _smooth(x: float) -> float:
    """0 below 0, 1 above 1, a half cosine between."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, max(0.0, x)))


def _ramp(since: float, length: float) -> float:
    return min(1.0, max(0.0, since / length))


def _poisson_times(random: Random, length: float, mean: float) -> list[float]:
    times, at = [], random.expovariate(1 / mean)
    while at < length:
        times.append(at)
        at += random.expovariate(1 / mean)
    return times


_SHAPES = {
    "diurnal": _Shape(_diurnal, 0.07, 120.0),
    "office": _Shape(_office, 0.1, 90.0),
    "bursty": _Shape(_bursty, 0.25, 45.0),
    "steps": _Shape(_steps, 0.1, 60.0),
    "flash": _Shape(_flash, 0.12, 60.0),
}
