"""Model Analyzer's tables: many configurations of one or more models, measured by perf_analyzer.

`metrics-model-inference.csv` has throughput and latency, `metrics-model-gpu.csv` the GPUs of the
same measurements; both have names with units, such as `p99 Latency (ms)`. A checkpoint written out
as a table has the tags instead (`latency_p99` in ms, `gpu_utilization` in %).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from autoscaler.policy.profile.plausible import check_batch, check_rows
from autoscaler.policy.profile.sweep import Configuration, Mode, Point, Profile, ProfileError
from autoscaler.policy.profile.table import Row, Table

TOOL = "Model Analyzer"
_LATENCY = re.compile(r"p([0-9.]+) latency \((us|ms|s)\)|latency_p([0-9.]+)")
_MEAN = re.compile(r"avg latency \((us|ms|s)\)|latency_avg()")
_QUEUE = re.compile(r"server queue time \((us|ms|s)\)|server_queue()")
_THROUGHPUT = ("throughput (infer/sec)", "throughput")
_UTILIZATION = ("gpu utilization (%)", "average gpu utilization (%)", "gpu_utilization")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_INSTANCES = re.compile(r"(\d+)\s*[:/]\s*[GC]PU")

# Model, configuration, client batch, mode, load: what one measurement is known by.
Key: TypeAlias = tuple[str, str, int, Mode, float]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table keeps what, in its own spelling."""

    throughput: str | None
    latencies: Mapping[float, tuple[str, float]]  # quantile → column, seconds of its unit
    mean: tuple[str, float] | None
    queue: tuple[str, float] | None
    utilization: str | None


def is_inference(table: Table) -> bool:
    names = table.lower()
    return any(name in names for name in _THROUGHPUT) and "model" in names


def is_gpu(table: Table) -> bool:
    """The GPUs of the measurements, or of the idle server, which says nothing of load."""
    names = table.lower()
    return "model" in names and any(name in names for name in _UTILIZATION)


def read_inference(table: Table, default_batch: int = 1) -> list[Profile]:
    """A profile for each model, configuration and client batch. Raises ProfileError.

    `default_batch`: the client batch of tables without the column Batch.
    """
    columns = _columns(table)
    if columns.throughput is None or not columns.latencies:
        raise ProfileError(
            "has no percentile of latency",
            "give Model Analyzer inference_output_fields with perf_latency_p99",
            table.line,
        )
    groups: dict[tuple[str, str, int, Mode], list[tuple[Row, Point]]] = defaultdict(list)
    for row in table.rows:
        model, name, batch, mode, load = _key(table, row, default_batch)
        point = _point(row, columns, load, batch)
        groups[model, name, batch, mode].append((row, point))
    profiles = []
    for (model, name, batch, mode), rows in groups.items():
        points = [point for _, point in rows]
        check_rows(points, TOOL)
        check_batch(points, mode, batch)
        settings = _configuration(table, rows[0][0], model, name)
        ordered = tuple(sorted(points, key=lambda point: point.load))
        profiles.append(Profile(ordered, mode, batch, settings, tool=TOOL))
    return profiles


def read_utilization(table: Table) -> dict[Key, float]:
    """Of each measurement the busiest GPU, 0 to 1. Empty for the table of the idle server."""
    column = _columns(table).utilization
    names = table.lower()
    if column is None or not {"concurrency", "request rate", "load"} & set(names):
        return {}
    found: dict[Key, float] = {}
    for row in table.rows:
        key = _key(table, row)
        found[key] = max(found.get(key, 0.0), row.number(column) / 100)
    return found


def with_utilization(profile: Profile, found: Mapping[Key, float]) -> Profile:
    """The profile with what `metrics-model-gpu.csv` says of the same measurements."""
    settings = profile.configuration
    points = []
    for point in profile.points:
        key = (settings.model, settings.name, profile.batch, profile.mode, point.load)
        share = found.get(key, 0.0) or point.gpu_utilization
        points.append(replace(point, gpu_utilization=share))
    return replace(profile, points=tuple(points))


def _columns(table: Table) -> Columns:
    names = table.lower()
    latencies = {}
    for lower, name in names.items():
        if match := _LATENCY.fullmatch(lower):
            quantile = round(float(match[1] or match[3]) / 100, 9)
            latencies[quantile] = (name, _SECONDS[match[2] or "ms"])
    return Columns(
        next((names[name] for name in _THROUGHPUT if name in names), None),
        latencies,
        _timed(names, _MEAN),
        _timed(names, _QUEUE),
        next((names[name] for name in _UTILIZATION if name in names), None),
    )


def _timed(names: Mapping[str, str], pattern: re.Pattern[str]) -> tuple[str, float] | None:
    for lower, name in names.items():
        if match := pattern.fullmatch(lower):
            return name, _SECONDS[match[1] or "ms"]
    return None


def _key(table: Table, row: Row, default_batch: int = 1) -> Key:
    names = table.lower()
    model = row.cells[names["model"]].strip()
    if "," in model:
        raise ProfileError(
            f"has models measured together in line {row.line} ({model})",
            "a profile is of one model alone: measure each by itself",
            row.line,
        )
    config = next((names[n] for n in ("model config path", "config") if n in names), None)
    batch = next((names[n] for n in ("batch", "client_batch") if n in names), None)
    inferences = int(row.number(batch)) if batch else default_batch
    if inferences < 1:
        raise ProfileError(f"has batch 0 in line {row.line}", "delete that line", row.line)
    mode, load = _load(names, row)
    return model, row.cells[config].strip() if config else "", inferences, mode, load


def _load(names: Mapping[str, str], row: Row) -> tuple[Mode, float]:
    """`Concurrency`, `Request Rate`, or `load` with its `load_kind`."""
    if "load" in names and "load_kind" in names:
        kind = row.cells[names["load_kind"]].strip()
        if kind in {"concurrency", "request_rate"}:
            return ("closed" if kind == "concurrency" else "open"), row.number(names["load"])
        raise ProfileError(
            f"has load_kind {kind!r} in line {row.line}",
            "write concurrency or request_rate",
            row.line,
        )
    for name, mode in (("concurrency", "closed"), ("request rate", "open")):
        if name in names:
            return ("closed" if mode == "closed" else "open"), row.number(names[name])
    raise ProfileError(
        "lacks the column Concurrency or Request Rate",
        "give Model Analyzer inference_output_fields with concurrency",
    )


def _point(row: Row, columns: Columns, load: float, batch: int) -> Point:
    assert columns.throughput is not None
    share = row.number(columns.utilization) / 100 if columns.utilization else 0.0
    return Point(
        load,
        row.number(columns.throughput) / batch,
        {q: row.number(name) * unit for q, (name, unit) in columns.latencies.items()},
        row.number(columns.mean[0]) * columns.mean[1] if columns.mean else None,
        row.number(columns.queue[0]) * columns.queue[1] if columns.queue else None,
        share or None,  # 0 while requests flow is not measured
        row.line,
    )


def _configuration(table: Table, row: Row, model: str, name: str) -> Configuration:
    """`Instance Group` reads `2:GPU`, in older tables `2/GPU`."""
    names = table.lower()
    group = row.cells[names["instance group"]] if "instance group" in names else ""
    match = _INSTANCES.search(group)
    instances = int(match[1]) if match else None
    if "instances" in names:
        instances = row.whole(names["instances"])
    batches = next((names[n] for n in ("max batch size", "max_batch_size") if n in names), None)
    dynamic = names.get("dynamic_batching")
    return Configuration(
        model,
        name,
        instances,
        row.whole(batches) if batches else None,
        row.cells[dynamic].strip() in {"1", "true", "True"} if dynamic else None,
    )
