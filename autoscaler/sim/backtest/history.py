"""A target's recorded past: each pod's samples, each model's counters, replicas over time."""

from __future__ import annotations

import itertools
import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from autoscaler.model import Target

Values: TypeAlias = "array[float]"


@dataclass(slots=True)
class ModelPast:
    """One model in one pod, all versions together; columns are as long as the pod's `times`.

    Counters have grown by so much since `first`, resets taken out; `queued` in µs. The model is
    loaded at the samples `first` to `last`, both included. None: the pod has no such family.
    """

    first: int
    last: int
    done: Values
    queued: Values | None
    pending: Values | None
    failed: Values | None = None
    rejected: Values | None = None
    reasons: bool = True  # failures carry a reason
    # Versions other than the usual 1, with their first and last sample.
    versions: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass(slots=True)
class PodPast:
    """`times`: Unix times of its samples, rising. `before_first`: requests it had served by the
    first of them, where it began within the history (else 0).
    """

    name: str
    times: list[float]
    models: dict[str, ModelPast]
    before_first: dict[str, float] = field(default_factory=dict)
    resets: set[int] = field(default_factory=set)  # samples at which a counter had begun anew
    # By number of the step: value and source of the GPU's figures, where they were asked for.
    duty: Mapping[int, tuple[float, str]] = field(default_factory=dict)
    power: Mapping[int, tuple[float, str]] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """Seconds, Unix time. `start` and `end` are multiples of `step`; pods' samples begin earlier,
    by the windows that look back from `start`.

    `intervals`: (from, scrape interval), rising. `spec` and `ready`: replicas by step, where
    kube-state-metrics told them. `metrics`: a policy's own queries, by text and step. `gaps`:
    stretches without a sample of any pod. `cold_start`: seconds, as recorded.
    """

    target: Target
    start: int
    end: int
    step: int
    pods: list[PodPast]
    intervals: list[tuple[float, float]]
    spec: Mapping[int, float] = field(default_factory=dict)
    ready: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    cold_start: float | None = None

    def interval(self, at: float) -> float:
        """Seconds between scrapes then."""
        index = bisect_right(self.intervals, at, key=lambda one: one[0])
        return self.intervals[max(0, index - 1)][1]

    def steps(self, every: int = 1) -> range:
        """Times from `start` to `end`, each `every` steps."""
        return range(self.start, self.end + 1, every * self.step)

    def up(self, pod: PodPast) -> Iterator[tuple[float, float]]:
        """When it served: runs of samples without a silence of over three scrapes and 5 s.

        It came up, and went down, about half an interval outside the run.
        """
        times, begun = pod.times, 0
        fixed = self.intervals[0][1] if len(self.intervals) == 1 else None
        for i in range(1, len(times) + 1):
            interval = fixed or self.interval(times[i - 1])
            if i == len(times) and self.end - times[-1] <= 1.5 * interval:
                yield times[begun] - interval / 2, float(self.end + self.step)  # it goes on
            elif i == len(times) or times[i] - times[i - 1] > 3 * interval + 5.0:
                yield times[begun] - interval / 2, times[i - 1] + interval / 2
                begun = i

    def serving(self) -> list[int]:
        """Pods that served at each step from `start` to `end`."""
        steps = len(self.steps())
        change = [0] * (steps + 1)
        for pod in self.pods:
            for a, b in self.up(pod):
                first = min(steps, max(0, math.ceil((a - self.start) / self.step)))
                last = min(steps, max(0, math.ceil((b - self.start) / self.step)))
                change[first] += 1
                change[last] -= 1
        return list(itertools.accumulate(change[:-1]))

    def known(self, at: float) -> bool:
        """Whether anything was recorded then."""
        return not any(a <= at < b for a, b in self.gaps)
