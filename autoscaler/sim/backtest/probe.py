"""Before the pull: is the target there, under these labels, and how often is it scraped?"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass

from autoscaler.model import Target
from autoscaler.observe.triton import PART, SUCCESS
from autoscaler.sim.backtest.chunks import Chunk
from autoscaler.sim.backtest.findings import BacktestError, Finding, between
from autoscaler.sim.backtest.pull import one
from autoscaler.sim.backtest.questions import TIMES, Question, coverage, selector
from autoscaler.sim.backtest.range_api import RangeApi
from autoscaler.units import format_duration

PLACES = 6  # at which the scrape interval is looked at
LOOK = 300  # seconds, each
COARSE = 2000  # points of the coverage


@dataclass(frozen=True, slots=True)
class Probe:
    """`step`: whole seconds, the shortest scrape interval seen. `series`: the most at a time."""

    step: int
    interval: float
    series: int
    findings: tuple[Finding, ...]


def probe(api: RangeApi, target: Target, start: float, end: float) -> Probe:
    """Raises BacktestError where the target has no series at all."""
    step = max(15, math.ceil((end - start) / COARSE))
    first = math.floor(start / step) * step
    chunk = Chunk(first, max(first, math.ceil(end / step) * step), step)
    ours: dict[int, float] = {}
    everybody: dict[int, float] = {}
    for row in one(api, coverage(target), chunk):
        counts = ours if row["metric"].get(PART) == "ours" else everybody
        counts.update((round(at), float(text)) for at, text in row["values"])
    if not ours:
        raise _nothing(api, target, chunk, everybody)
    intervals = _intervals(api, target, sorted(ours))
    if not intervals:
        raise BacktestError(
            between(chunk.start, chunk.end),
            f"the series of {target.name} have single samples only",
            "backtest a time in which the target was scraped for some minutes",
        )
    shortest = min(intervals)
    near = round(shortest)
    whole = near if abs(shortest - near) < 0.02 * shortest else math.floor(shortest)
    return Probe(
        step=max(1, whole),
        interval=intervals[0],
        series=round(max(ours.values())),
        findings=(*_renamed(target, ours, everybody, step),),
    )


def _intervals(api: RangeApi, target: Target, times: list[int]) -> list[float]:
    """Seconds between samples at a few places, the first one first."""
    question = Question(
        TIMES, f"max by (namespace,pod)(timestamp({SUCCESS}{{{selector(target)}}}))", needed=True
    )
    places = {times[round(i * (len(times) - 1) / (PLACES - 1))] for i in range(PLACES)}
    found = []
    for at in sorted(places):
        spacing: list[float] = []
        # Beyond it too: at the first place nothing lies before.
        for row in one(api, question, Chunk(at - LOOK, at + LOOK, 1)):
            stamps = sorted({float(text) for _, text in row["values"]})
            spacing += [b - a for a, b in itertools.pairwise(stamps)]
        if spacing:
            found.append(statistics.median(spacing))
    return found


def _renamed(
    target: Target, ours: dict[int, float], everybody: dict[int, float], step: int
) -> list[Finding]:
    """Stretches without the target in which Triton was scraped all the same."""
    hidden = [at for at in sorted(everybody) if everybody[at] > 0 and not ours.get(at)]
    found: list[Finding] = []
    for _, run in itertools.groupby(enumerate(hidden), lambda pair: pair[1] - pair[0] * step):
        stretch = [at for _, at in run]
        if len(stretch) * step < 2 * LOOK:
            continue
        start, end = float(stretch[0]), float(stretch[-1] + step)
        found.append(
            Finding(
                between(start, end),
                f"no series of namespace {target.namespace} and pod {target.name}-…, while "
                f"{everybody[stretch[0]]:.0f} series of {SUCCESS} are there: labels were renamed, "
                "or the target did not exist",
                "begin after it (--from), or relabel so that namespace and pod name the pod",
                start,
                end,
            )
        )
    return found


def _nothing(
    api: RangeApi, target: Target, chunk: Chunk, everybody: dict[int, float]
) -> BacktestError:
    place = between(chunk.start, chunk.end)
    if not everybody:
        return BacktestError(
            place,
            f"no {SUCCESS} at all",
            f"is this the Prometheus that scrapes Triton, and does its retention reach back "
            f"{format_duration(max(60.0, chunk.end - chunk.start))}?",
        )
    last = max(everybody)
    rows = one(api, Question("labels", f"topk(1, {SUCCESS})"), Chunk(last, last, 1))
    shown = ""
    if rows:
        labels = {k: v for k, v in rows[0]["metric"].items() if k not in ("__name__", "model")}
        shown = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return BacktestError(
        place,
        f"no series of {SUCCESS} has namespace {target.namespace} and a pod named "
        f"{target.name}-…; there are {everybody[last]:.0f} others, for example with {shown}",
        "correct the policy's target, or relabel so that namespace and pod name the pod",
    )
