"""From Prometheus' rows to a History: one pass over the samples."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from autoscaler.model import Target
from autoscaler.observe.names import Owners
from autoscaler.observe.triton import PART, REJECTED
from autoscaler.sim.backtest.history import History, ModelPast, PodPast, Values
from autoscaler.sim.backtest.pull import Labels, Rows
from autoscaler.sim.backtest.questions import COUNTERS, FAILURES, GPU, REPLICAS, TIMES

# What `observe.triton` sums over; all other labels tell scrape jobs apart.
SUMMED = ("version", "gpu_uuid", "exported_namespace", "reason", "model", "pod", "namespace")
HOUR = 3600

Grid = dict[int, int]  # number of the step → index of the pod's sample that was the last one then
Group = dict[Labels, Values]  # by scrape job


def history(
    target: Target,
    answers: Mapping[str, Rows],
    start: int,
    end: int,
    step: int,
    interval: float,
    cold_start: float | None = None,
) -> History:
    """`start` and `end` as in History; the answers reach further back. Takes the answers apart."""
    owners = Owners([target])
    pods: dict[str, PodPast] = {}
    grids: dict[str, Grid] = {}
    for labels, (steps, values) in answers[TIMES].series.items():
        name = dict(labels).get("pod", "")
        if owners.of(target.namespace, name) is not None:
            pods[name], grids[name] = _pod(name, steps, values)
    _counters(pods, grids, answers)
    for name, kind in zip(GPU, ("duty", "power"), strict=True):
        if name in answers:
            _gpu(pods, answers[name], kind)
    alive = sorted((pod for pod in pods.values() if pod.models), key=lambda p: (p.times[0], p.name))
    replicas = _replicas(answers.get(REPLICAS))
    found = History(
        target=target,
        start=start,
        end=end,
        step=step,
        pods=alive,
        intervals=_intervals(alive, start, end, interval),
        spec=replicas["spec"],
        ready=replicas["ready"],
        metrics={
            name.removeprefix("query "): _single(rows)
            for name, rows in answers.items()
            if name.startswith("query ")
        },
        cold_start=cold_start,
    )
    found.gaps = _gaps(found)
    return found


def _pod(name: str, steps: Sequence[int], values: Sequence[float]) -> tuple[PodPast, Grid]:
    """Its sample times, each once, and which of them was the last at each step."""
    times: list[float] = []
    grid: Grid = {}
    for number, at in zip(steps, values, strict=True):
        if not times or at > times[-1]:
            times.append(at)
        grid[number] = len(times) - 1
    return PodPast(name, times, {}), grid


def _counters(
    pods: Mapping[str, PodPast], grids: Mapping[str, Grid], answers: Mapping[str, Rows]
) -> None:
    columns: dict[tuple[str, str], dict[str, Group]] = {}
    versions: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    spans = _spans(pods, grids, answers["completions"])
    for name in (*COUNTERS, FAILURES):
        rows = answers.get(name)
        for labels, (steps, values) in rows.series.items() if rows else ():
            told = dict(labels)
            key = told.get("pod", ""), told.get("model", "")
            if key not in spans or not (samples := _samples(steps, values, grids[key[0]])):
                continue
            pod, began = pods[key[0]], samples[0][0]
            if name == "pending":
                column = _level(samples, len(pod.times))
            else:
                column = _grown(
                    samples, len(pod.times), born=began > spans[key][0], resets=pod.resets
                )
            kind = f"{name} {told.get('reason')}" if name == FAILURES else name
            _add(columns.setdefault(key, {}).setdefault(kind, {}), _job(labels), column)
            if name == "completions" and (version := told.get("version", "")) not in ("", "1"):
                versions.setdefault(key, []).append((began, samples[-1][0], version))
            if name == "completions" and began == 0:
                before = pod.before_first
                before[key[1]] = before.get(key[1], 0.0) + samples[0][1]
    for (name, model), (first, last) in spans.items():
        past = pods[name].models[model] = _model(columns[name, model], first, last)
        past.versions = versions.get((name, model), [])


def _spans(
    pods: Mapping[str, PodPast], grids: Mapping[str, Grid], rows: Rows
) -> dict[tuple[str, str], tuple[int, int]]:
    """(pod, model) → its first and last sample, over all versions."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for labels, (steps, _) in rows.series.items():
        told = dict(labels)
        key = told.get("pod", ""), told.get("model", "")
        if key[0] not in pods or not key[1]:
            continue
        grid = grids[key[0]]
        seen = [grid[number] for number in (steps[0], steps[-1]) if number in grid]
        if seen:
            first, last = spans.get(key, (seen[0], seen[-1]))
            spans[key] = min(first, seen[0]), max(last, seen[-1])
    return spans


def _samples(steps: Sequence[int], values: Sequence[float], grid: Grid) -> list[tuple[int, float]]:
    """(index of the pod's sample, value), each sample once; what is not a number is not there."""
    found: list[tuple[int, float]] = []
    last = -1
    for number, value in zip(steps, values, strict=True):
        index = grid.get(number, -1)
        if index > last and math.isfinite(value):
            found.append((index, value))
            last = index
    return found


def _grown(
    samples: list[tuple[int, float]], length: int, *, born: bool, resets: set[int] | None = None
) -> Values:
    """Growth since the first sample, as rate() reads it: 100 then 3 are 3 more, not 97 fewer.

    `born`: the series began later than the model, so it counted from 0. `resets` takes the
    samples at which it fell.
    """
    first, before = samples[0]
    column = array("d", bytes(8 * first))
    total = before if born else 0.0
    for index, value in samples:
        column.extend([total] * (index - len(column)))
        if value < before:
            total += value
            if resets is not None:
                resets.add(index)
        else:
            total += value - before
        before = value
    column.extend([total] * (length - len(column)))
    return column


def _level(samples: list[tuple[int, float]], length: int) -> Values:
    """A gauge; where a sample lacks, its last level."""
    column, level = array("d"), 0.0
    for index, value in samples:
        column.extend([level] * (index - len(column)))
        level = value
    column.extend([level] * (length - len(column)))
    return column


def _job(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in SUMMED and pair[0] != "__name__")


def _add(group: Group, job: Labels, column: Values) -> None:
    known = group.get(job)
    group[job] = column if known is None else _sum([known, column])


def _model(columns: Mapping[str, Group], first: int, last: int) -> ModelPast:
    failures = [name for name in columns if name.startswith(f"{FAILURES} ")]
    rejected = columns.get(f"{FAILURES} {REJECTED}")
    return ModelPast(
        first=first,
        last=last,
        done=_highest(columns["completions"]),
        queued=_highest(columns["queueing"]) if "queueing" in columns else None,
        pending=_highest(columns["pending"], gauge=True) if "pending" in columns else None,
        failed=_sum([_highest(columns[name]) for name in failures]) if failures else None,
        rejected=_highest(rejected) if rejected else None,
        reasons=f"{FAILURES} None" not in columns,
    )


def _highest(group: Group, *, gauge: bool = False) -> Values:
    """A pod that two jobs scrape has one load: at each sample the higher of the two."""
    columns = list(group.values())
    if len(columns) == 1:
        return columns[0]
    if gauge:
        return array("d", map(max, zip(*columns, strict=True)))
    total, found = max(column[0] for column in columns), array("d")
    before = [column[0] for column in columns]
    for values in zip(*columns, strict=True):
        total += max(b - a for a, b in zip(before, values, strict=True))
        found.append(total)
        before = list(values)
    return found


def _sum(columns: Iterable[Values]) -> Values:
    return array("d", map(sum, zip(*columns, strict=True)))


def _gpu(pods: Mapping[str, PodPast], rows: Rows, kind: str) -> None:
    for labels, (steps, values) in rows.series.items():
        told = dict(labels)
        pod = pods.get(told.get("pod", ""))
        if pod is None:
            continue
        source = told.get("source", "")
        known = dict(getattr(pod, kind))
        known |= {
            number: (value, source)
            for number, value in zip(steps, values, strict=True)
            if math.isfinite(value)
        }
        setattr(pod, kind, known)


def _replicas(rows: Rows | None) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {"spec": {}, "ready": {}}
    for labels, (steps, values) in rows.series.items() if rows else ():
        part = dict(labels).get(PART, "")
        if part in found:
            found[part].update(zip(steps, values, strict=True))
    return found


def _single(rows: Rows) -> dict[int, float]:
    """A policy's own query must give one series: where several come, none is taken."""
    if len(rows.series) != 1:
        return {}
    steps, values = next(iter(rows.series.values()))
    return {n: v for n, v in zip(steps, values, strict=True) if math.isfinite(v)}


def _intervals(
    pods: list[PodPast], start: int, end: int, interval: float
) -> list[tuple[float, float]]:
    """Scrape intervals by the hour; one that moves by less than a fifth stands still."""
    spacing: dict[int, list[float]] = {}
    for pod in pods:
        for a, b in pairwise(pod.times):
            spacing.setdefault(int(b // HOUR), []).append(b - a)
    found = [(-math.inf, interval)]
    for hour in range(start // HOUR, end // HOUR + 1):
        if len(seen := spacing.get(hour, ())) >= 4:
            typical = statistics.median(seen)
            if abs(typical - found[-1][1]) > 0.2 * found[-1][1]:
                found.append((float(hour * HOUR), round(typical, 1)))
    return found


def _gaps(history: History) -> list[tuple[float, float]]:
    """Stretches in which no pod was sampled for over three scrapes and 5 s."""
    ups = sorted(up for pod in history.pods for up in history.up(pod))
    found, at = [], float(history.start)
    for a, b in ups:
        if a > at + history.interval(at):
            found.append((at, min(a, float(history.end))))
        at = max(at, b)
    if at < history.end:
        found.append((at, float(history.end)))
    return [(a, b) for a, b in found if b > a]
