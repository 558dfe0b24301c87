"""perf_analyzer's tables: `-f FILE.csv`, with `--verbose-csv` or without, of any year.

All times are µs. With `--collect-metrics` a cell of the GPU columns reads `uuid:0.045;uuid:0.4;`.
Without `Avg latency` the mean is the sum of the parts that the row tells: send, network, queue,
compute, receive. Files of 2019 have a single `Server Compute`.
"""

from __future__ import annotations

import re

from autoscaler.policy.profile.plausible import check_batch, check_rows
from autoscaler.policy.profile.sweep import Configuration, Mode, Point, Profile, ProfileError
from autoscaler.policy.profile.table import Row, Table

TOOL = "perf_analyzer"
LOADS: dict[str, Mode] = {"Concurrency": "closed", "Request Rate": "open"}
THROUGHPUT = "Inferences/Second"
QUEUE, UTILIZATION, MEAN = "Server Queue", "Avg GPU Utilization", "Avg latency"
LATENCY = re.compile(r"p([0-9]+(?:\.[0-9]+)?) latency")
_PARTS = re.compile(r"(Client (Send|Recv)|Network\+Server Send/Recv|Server (Queue|Compute.*))")
_MICRO = 1e-6


def is_sweep(table: Table) -> bool:
    """Its throughput column, or most of the others: enough to name what is missing."""
    return THROUGHPUT in table.header or any(LATENCY.fullmatch(name) for name in table.header)


def read_sweep(table: Table, batch: int = 1) -> Profile:
    """Raises ProfileError. `batch`: the client batch, perf_analyzer's `-b`."""
    latencies = {
        round(float(match[1]) / 100, 9): name
        for name in table.header
        if (match := LATENCY.fullmatch(name))
    }
    load = next((name for name in LOADS if name in table.header), None)
    missing = [] if load else ["Concurrency or Request Rate"]
    missing += [] if THROUGHPUT in table.header else [THROUGHPUT]
    missing += [] if latencies else ["p99 latency (or another percentile)"]
    if missing or load is None:
        raise ProfileError(
            f"lacks the column {' and '.join(missing)}",
            "give the file of perf_analyzer -f",
            table.line,
        )
    points = [_point(table, row, load, latencies, batch) for row in table.rows]
    check_rows(points, TOOL)
    check_batch(points, LOADS[load], batch)
    return Profile(
        tuple(sorted(points, key=lambda point: point.load)),
        LOADS[load],
        batch,
        Configuration(),
        tool=TOOL,
    )


def _point(table: Table, row: Row, load: str, latencies: dict[float, str], batch: int) -> Point:
    return Point(
        row.number(load),
        row.number(THROUGHPUT) / batch,
        {quantile: row.number(name) * _MICRO for quantile, name in latencies.items()},
        _mean(table, row),
        row.number(QUEUE) * _MICRO if QUEUE in table.header else None,
        _busiest(row) if UTILIZATION in table.header else None,
        row.line,
    )


def _mean(table: Table, row: Row) -> float | None:
    if MEAN in table.header:
        return row.number(MEAN) * _MICRO
    parts = [name for name in table.header if _PARTS.fullmatch(name)]
    # Of tables that people shortened the sum would be of what is left
    whole = "Network+Server Send/Recv" in parts and QUEUE in parts
    return sum(row.number(name) for name in parts) * _MICRO if whole else None


def _busiest(row: Row) -> float | None:
    """`GPU-8557549f:0.045;` → 0.045. Nothing, or 0 while requests flow: not measured."""
    shares = []
    for entry in row.cells[UTILIZATION].split(";"):
        _, colon, value = entry.rpartition(":")
        if not entry.strip():
            continue
        try:
            shares.append(float(value))
        except ValueError:
            shares.append(-1.0)
        if not colon or not 0 <= shares[-1] <= 1:
            raise ProfileError(
                f"has {entry.strip()[:40]!r} under {UTILIZATION} in line {row.line}",
                "perf_analyzer writes uuid:share; there, with a share of 0 to 1",
                row.line,
            )
    return max(shares, default=0.0) or None
