"""Figures of perf_analyzer's console as a table: `concurrency, infer_per_sec, latency_us`.

The console names one latency, the one that it was told to stabilise by: the average, or the
percentile of `--percentile`. Which one the table does not say, so the user must.
"""

from __future__ import annotations

from collections import defaultdict

from autoscaler.policy.profile.plausible import check_batch
from autoscaler.policy.profile.sweep import Configuration, Point, Profile, ProfileError
from autoscaler.policy.profile.table import Row, Table

TOOL = "figures of perf_analyzer's console"
THROUGHPUT = "infer_per_sec"
_LATENCY = {"latency_us": 1e-6, "latency_usec": 1e-6, "latency_ms": 1e-3}


def is_console(table: Table) -> bool:
    return THROUGHPUT in table.header and any(name in table.header for name in _LATENCY)


def read_console(table: Table, batch: int, latency_is: float | None) -> list[Profile]:
    """A profile for each number of instances. `latency_is`: the quantile of its latency."""
    latency = next(name for name in _LATENCY if name in table.header)
    if latency_is is None:
        raise ProfileError(
            f"does not say which statistic its {latency} is",
            "perf_analyzer's console shows the average, unless it ran with --percentile: "
            "if so, give it, for example --latency-is p99",
            table.line,
        )
    if "concurrency" not in table.header:
        raise ProfileError("lacks the column concurrency", "add it", table.line)
    groups: dict[int | None, list[Point]] = defaultdict(list)
    for row in table.rows:
        point = _point(row, latency, batch, latency_is)
        groups[row.whole("instances")].append(point)
    profiles = []
    for instances, points in groups.items():
        check_batch(points, "closed", batch)
        ordered = tuple(sorted(points, key=lambda point: point.load))
        settings = Configuration(instances=instances)
        profiles.append(Profile(ordered, "closed", batch, settings, tool=TOOL))
    return profiles


def _point(row: Row, latency: str, batch: int, quantile: float) -> Point:
    return Point(
        row.number("concurrency"),
        row.number(THROUGHPUT) / batch,
        {quantile: row.number(latency) * _LATENCY[latency]},
        line=row.line,
    )
