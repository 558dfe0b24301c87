"""The model's server: from a load sweep, or fitted to this very history.

Fitted: its queue time at each load is what was recorded there; how waits scatter about their mean,
and what happens at loads that the history never saw, has the shape of the recorded H200
(`sim.curve`). Beyond its capacity a queue grows; the capacity is the policy's, or the most that
was seen.
"""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autoscaler.sim.backtest.flows import Flows
from autoscaler.sim.curve import CELL, CELLS, LoadPoint, ServerCurve, h200

LEAST = 3  # minutes at about one load, for its queue time to be taken from them
SEEN = 0.999  # quantile of the minutes' rates per replica that counts as the most seen


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of a fleet whose size stood still: load per replica in requests/s, seconds."""

    row: int
    rate: float
    queue_time: float


def minutes(flows: Flows, serving: Sequence[int], seconds: int = 60) -> list[Minute]:
    """Those in which somebody was answered by a fleet of one size."""
    each = max(1, seconds // flows.bin)
    found = []
    for first in range(0, len(flows) - each + 1, each):
        sizes = serving[first : first + each + 1]
        answered = sum(flows.answered[first : first + each])
        queued, load = (
            sum(flows.queued[first : first + each]),
            sum(flows.load[first : first + each]),
        )
        if sizes[0] and min(sizes) == max(sizes) and answered > 0:
            rate = load / (each * flows.bin) / sizes[0]
            found.append(Minute(first // each, rate, queued / answered))
    return found


def most_seen(seen: Sequence[Minute]) -> float:
    """Requests/s that one replica was sent in its busiest minutes; 0 without any."""
    rates = sorted(minute.rate for minute in seen)
    return rates[min(len(rates) - 1, int(SEEN * len(rates)))] if rates else 0.0


def fitted(seen: Sequence[Minute], capacity: float, name: str) -> ServerCurve:
    """Raises ValueError without a capacity."""
    if capacity <= 0:
        raise ValueError("no replica was sent anything: nothing to fit a server to")
    base = h200()
    shares = [point.rate / base.capacity for point in base.points]
    waits = _waits(seen, shares, capacity)
    points, highest = [], 0.0
    for point, share, wait in zip(base.points, shares, _filled(waits, base), strict=True):
        highest = max(highest, wait)
        points.append(_point(point, share * capacity, highest))
    return replace(
        base,
        name=name,
        capacity=capacity,
        full=base.full * points[0].queue_time / base.points[0].queue_time,
        points=tuple(points),
    )


def _waits(seen: Sequence[Minute], shares: Sequence[float], capacity: float) -> list[float | None]:
    """Median queue time of the minutes nearest to each load."""
    middles = [(a + b) / 2 for a, b in itertools.pairwise(shares)]
    near: list[list[float]] = [[] for _ in shares]
    for minute in seen:
        share = minute.rate / capacity
        if share <= 1.0:
            near[bisect.bisect_left(middles, share)].append(minute.queue_time)
    return [statistics.median(some) if len(some) >= LEAST else None for some in near]


def _filled(waits: Sequence[float | None], base: ServerCurve) -> list[float]:
    """A load that was not seen: as the nearest that was, by the base's shape between the two."""
    known = [i for i, wait in enumerate(waits) if wait is not None]
    found = []
    for i, (wait, point) in enumerate(zip(waits, base.points, strict=True)):
        if wait is not None or not known:
            found.append(point.queue_time if wait is None else wait)
            continue
        nearest = min(known, key=lambda k: abs(k - i))
        there = waits[nearest] or 0.0
        found.append(there * point.queue_time / base.points[nearest].queue_time)
    return found


def _point(base: LoadPoint, rate: float, wait: float) -> LoadPoint:
    """The base's point with another mean wait; waits scatter about it in proportion."""
    ratio = max(wait / base.queue_time, 1e-6)
    cells = min(CELLS, int(len(base.later) * ratio) + 2)
    later = [base.late(cell / ratio * CELL) for cell in range(cells)]
    return replace(
        base,
        rate=rate,
        queue_time=wait,
        latency=tuple(max(0.0, took + wait - base.queue_time) for took in base.latency),
        later=(*later, 0.0),
    )


def late_by_wait(curve: ServerCurve, patience: float) -> Callable[[float], float]:
    """Share of requests that wait longer than `patience`, where their mean wait is given.

    A mean tells no tail: the tail is that of the curve at the load whose mean it is. Beyond the
    brink a backlog adds the same wait to everybody.
    """
    means = [point.queue_time for point in curve.points]
    shares = [point.late(patience) for point in curve.points]
    brink = curve.points[-1]

    def late(wait: float) -> float:
        index = bisect.bisect_left(means, wait)
        if index == len(means):
            return max(shares[-1], brink.late(patience - (wait - means[-1])))
        if index == 0:
            return shares[0]
        low, high = means[index - 1], means[index]
        part = (wait - low) / (high - low) if high > low else 1.0
        return shares[index - 1] + (shares[index] - shares[index - 1]) * part

    return late
