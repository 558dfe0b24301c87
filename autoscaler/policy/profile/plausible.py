"""Does a sweep contradict itself? Units, client batches and cut-off lines, by arithmetic.

In a closed loop Little's law ties the columns of a row together: inferences/s × mean latency =
concurrency × client batch. 1,692/s × 75.4 ms = 127.6 at concurrency 128: one inference a request,
and the latency is in µs indeed. In an open loop inferences/s ÷ requests/s offered is the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from autoscaler.policy.profile.sweep import Mode, Point, ProfileError, percentile

# Of a latency read in ms where it is in µs the law reads 1,000 times too little or too much.
# Far beyond saturation windows are shorter than answers, and true rows read down to 0.1.
OTHER_UNIT = 0.02
# The mean of a window and the law differ by a few percent; a batch of 2 is 100 % off.
OTHER_BATCH = 1.6
# A tail quantile stands up to this many times above the mean without saying anything.
TAIL = 8.0


def check_rows(points: Sequence[Point], tool: str) -> None:
    """Raises ProfileError: quantiles out of order, as in a line that was cut off; no numbers."""
    for point in points:
        figures = [point.load, point.requests_per_second, *point.latency.values()]
        if not all(math.isfinite(figure) and figure >= 0 for figure in figures):
            raise ProfileError(
                f"has a figure that is negative or endless at load {point.load:g}",
                f"give the file as {tool} wrote it",
                point.line,
            )
        known = sorted(point.latency.items())
        for (low, lower), (high, higher) in pairwise(known):
            if higher < lower:
                raise ProfileError(
                    f"says that {percentile(high)} ({higher * 1e3:.4g} ms) is below "
                    f"{percentile(low)} ({lower * 1e3:.4g} ms) in line {point.line}: it is cut "
                    "off, or mixes units",
                    f"give the file as {tool} wrote it, or delete that line",
                    point.line,
                )


def check_batch(points: Sequence[Point], mode: Mode, batch: int) -> None:
    """Raises ProfileError: latency in another unit, another client batch, several of them."""
    seen = [(found, point) for point in points if (found := apparent_batch(point, mode, batch))]
    if not seen:
        return
    shares = [found / batch for found, _ in seen]
    _check_units(seen, shares, mode)
    by_tail = mode == "closed" and all(_mean(point) is None for point in points)
    allowed = TAIL if by_tail else OTHER_BATCH
    alike = [entry for entry in seen if entry[0] / batch <= allowed]
    other = [entry for entry in seen if entry[0] / batch > allowed]
    if other and alike:
        (one, first), (many, second) = alike[0], other[0]
        raise ProfileError(
            f"mixes client batches: line {first.line} reads like {_count(one)} a request, "
            f"line {second.line} like {round(many)}",
            "keep one batch a file: requests of another size are another load",
            second.line,
        )
    if other:
        low, high = min(other)[0], max(other)[0]
        same = round(low) == round(high)
        about = f"{round(low)}" if same else f"{round(low)} to {round(high)}"
        raise ProfileError(
            f"counts inferences, and throughput × latency reads like {about} of them a request, "
            f"not {batch}",
            f"give the client batch (perf_analyzer -b): --batch {about if same else 'N'}",
        )
    if batch > 1 and max(shares) < 1 / OTHER_BATCH:
        raise ProfileError(
            f"reads like {_count(max(seen)[0])} a request at most, not {batch}",
            "give the client batch that perf_analyzer -b had, or leave --batch out",
        )


def apparent_batch(point: Point, mode: Mode, batch: int) -> float | None:
    """Inferences in one request, by the arithmetic above; None where a column is missing."""
    inferences = point.requests_per_second * batch
    if point.load <= 0:
        return None
    if mode == "open":
        return inferences / point.load
    latency = _mean(point)
    if latency is None and point.latency:
        latency = min(point.latency.values())
    return inferences * latency / point.load if latency is not None else None


def _check_units(seen: Sequence[tuple[float, Point]], shares: Sequence[float], mode: Mode) -> None:
    if mode == "open":
        return
    for share, (_, point) in zip(shares, seen, strict=True):
        if share < OTHER_UNIT and max(shares) > 0.3:
            raise ProfileError(
                f"mixes units: in line {point.line} throughput × latency makes "
                f"{share * point.load:.2g} requests under way, where {point.load:g} were kept",
                "give all latencies in one unit, as the tool wrote them",
                point.line,
            )
    if not OTHER_UNIT <= median(shares) <= 1 / OTHER_UNIT * 10:
        raise ProfileError(
            "has latencies in another unit: throughput × latency makes "
            f"{median(shares):.2g} times the requests that were kept under way",
            "give the file as the tool wrote it; perf_analyzer writes µs",
        )


def _mean(point: Point) -> float | None:
    """The mean, or the median, which is near it in a closed loop."""
    return point.mean_latency if point.mean_latency is not None else point.latency.get(0.5)


def _count(inferences: float) -> str:
    number = max(1, round(inferences))
    return f"{number} inference{'s' if number != 1 else ''}"
