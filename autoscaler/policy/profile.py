"""Capacity out of a load sweep that perf_analyzer wrote (`-f FILE.csv`)."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass

_LOADS = ("Concurrency", "Request Rate")
_THROUGHPUT = "Inferences/Second"
_LATENCY = re.compile(r"p([0-9]+(?:\.[0-9]+)?) latency")
CLIENT_BATCH = 1  # inferences per request; a later version reads it from the file


class ProfileError(ValueError):
    """A profile that gives no capacity: what is wrong, and what to do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Point:
    """One measured load: requests/s carried, and latency in seconds by quantile."""

    load: float
    throughput: float
    latency: dict[float, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """Sorted by load; perf_analyzer writes rows by throughput and leaves unstable loads out."""

    points: tuple[Point, ...]

    def quantiles(self) -> list[float]:
        return sorted(self.points[0].latency)

    def capacity(self, quantile: float, limit: float) -> float:
        """Requests/s at which latency reaches `limit` seconds, the first time as load grows.

        Between two measured loads it is interpolated: 1,631/s at 39.3 ms and 1,677/s at 52.3 ms
        give 1,669/s at 50 ms. Where no measured load breaks the limit it is the highest
        throughput measured, never more. Raises ProfileError where even the lowest load breaks it.
        """
        best = 0.0
        before: Point | None = None
        for point in self.points:
            latency = point.latency[quantile]
            if latency > limit:
                if before is None:
                    raise ProfileError(
                        f"even its lowest load takes {latency * 1e3:.4g} ms at "
                        f"p{quantile * 100:g}, the SLA allows {limit * 1e3:.4g} ms",
                        "relax sla.latency, speed the model up, or measure lower loads",
                    )
                low = before.latency[quantile]
                way = (limit - low) / (latency - low)
                edge = before.throughput + way * (point.throughput - before.throughput)
                return max(best, edge)
            best = max(best, point.throughput)
            before = point
        return best


def parse_profile(text: str) -> Profile:
    """Raises ProfileError. Columns: a load, throughput, and `pNN latency` in microseconds."""
    try:
        rows = list(
            csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        )
    except csv.Error as error:
        raise ProfileError(f"is not CSV: {error}", "give the file of perf_analyzer -f") from None
    header = [name for name in (rows[0] if rows else {}) if isinstance(name, str)]
    load = next((name for name in _LOADS if name in header), None)
    latencies = {
        name: float(match[1]) / 100 for name in header if (match := _LATENCY.fullmatch(name))
    }
    if not rows:
        raise ProfileError("has no rows", "measure with perf_analyzer -f FILE.csv")
    missing = [] if load else ["Concurrency or Request Rate"]
    missing += [] if _THROUGHPUT in header else [_THROUGHPUT]
    missing += [] if latencies else ["p99 latency (or another percentile)"]
    if missing or load is None:
        raise ProfileError(
            f"lacks the column {' and '.join(missing)}", "give the file of perf_analyzer -f"
        )
    points = []
    for line, row in enumerate(rows, start=2):
        quantiles = {
            round(quantile, 9): _number(row[name], name, line) / 1e6
            for name, quantile in latencies.items()
        }
        throughput = _number(row[_THROUGHPUT], _THROUGHPUT, line) / CLIENT_BATCH
        points.append(Point(_number(row[load], load, line), throughput, quantiles))
    return Profile(tuple(sorted(points, key=lambda point: point.load)))


def _number(text: str | None, column: str, line: int) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ProfileError(
            f"has no number under {column} in line {line}", "measure that load again, or delete it"
        )
    return number
