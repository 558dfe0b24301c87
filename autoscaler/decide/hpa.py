"""The HPA's own replica arithmetic, as kube-controller-manager v1.36.3 does it.

Values and targets are integers in milli-units, averages are cut to whole milli, ratios are IEEE
doubles with exactly these operations in this order: 100 replicas and 10 % are 111 there too.
Vectors from the real controller: tests/oracle/replicas.jsonl.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """No change while 1 − down ≤ ratio ≤ 1 + up, both ends included."""

    up: float = 0.1
    down: float = 0.1

    def covers(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Proposed:
    """A size, and the usage the HPA would report (milli-units; None where undefined)."""

    replicas: int
    usage_milli: int | None


@dataclass(frozen=True, slots=True)
class Failed:
    error: Literal["metric_unavailable", "no_pods", "no_samples"]


@dataclass(frozen=True, slots=True)
class PodSample:
    """One selected pod and its sample; `value` in milli-units, None where it has none."""

    name: str
    value: int | None
    phase: str = "Running"
    ready: bool = True
    deleting: bool = False


def milli(value: float) -> int:
    """A quantity in milli-units, rounded away from zero: 0.0001 → 1, 1.0001 → 1001.

    Doubles carry noise that decimal quantities do not (1.1 × 1000 = 1100.0000000000002), so
    anything within a billionth of a whole number is that number.
    """
    scaled = value * 1000
    nearest = round(scaled)
    if abs(scaled - nearest) <= 1e-9 * max(1.0, abs(scaled)):
        return nearest
    return math.ceil(scaled) if scaled > 0 else math.floor(scaled)


def pods_average(
    current: int,
    target: int,
    tolerance: Tolerance,
    pods: Sequence[PodSample],
    ghosts: Mapping[str, int] | None = None,
) -> Proposed | Failed:
    """Metric type Pods with an AverageValue: a value per pod.

    Missing pods count as on target when shrinking and as idle when growing; if filling them in
    turns the direction round, the size stays.
    """
    ghosts = ghosts or {}
    if not ghosts and all(pod.value is None for pod in pods):
        return Failed("metric_unavailable")
    if not pods:
        return Failed("no_pods")
    counted, unready, missing = _classify(pods)
    samples = [*counted, *ghosts.values()]
    if not samples:
        return Failed("no_samples")
    usage = _whole(sum(samples), len(samples))
    ratio = usage / target
    idle = bool(unready) and ratio > 1.0
    if not idle and not missing:
        size = current if tolerance.covers(ratio) else math.ceil(ratio * len(counted))
        return Proposed(size, usage)
    if ratio < 1.0:
        samples += [target] * missing
    elif ratio > 1.0:
        samples += [0] * missing
    if idle:
        samples += [0] * unready
    return Proposed(_after_filling(current, target, tolerance, samples, ratio), usage)


def _classify(pods: Sequence[PodSample]) -> tuple[list[int], int, int]:
    """(values that count, number unready, number missing); deleting and Failed pods vanish.

    Readiness is not looked at for custom metrics: a Running Triton that is not Ready counts.
    """
    counted: list[int] = []
    unready = missing = 0
    for pod in pods:
        if pod.deleting or pod.phase == "Failed":
            continue
        if pod.phase == "Pending":
            unready += 1
        elif pod.value is None:
            missing += 1
        else:
            counted.append(pod.value)
    return counted, unready, missing


def _after_filling(
    current: int, target: int, tolerance: Tolerance, samples: list[int], before: float
) -> int:
    ratio = _whole(sum(samples), len(samples)) / target
    flipped = (before < 1.0 < ratio) or (ratio < 1.0 < before)
    if tolerance.covers(ratio) or flipped:
        return current
    size = math.ceil(ratio * len(samples))
    contradicts = (ratio < 1.0 and size > current) or (ratio > 1.0 and size < current)
    return current if contradicts else size


def value(
    current: int, target: int, tolerance: Tolerance, usage: int, pods: Sequence[PodSample]
) -> Proposed | Failed:
    """Object or External metric with a Value: current usage / target, times the Ready pods."""
    ratio = usage / target
    if current == 0:
        return Proposed(math.ceil(ratio), usage)
    if tolerance.covers(ratio):
        return Proposed(current, usage)
    if not pods:
        return Failed("no_pods")
    ready = sum(1 for pod in pods if pod.phase == "Running" and pod.ready)
    return Proposed(min(math.ceil(ratio * ready), INT32_MAX), usage)


def average_value(status: int, target: int, tolerance: Tolerance, usage: int) -> Proposed:
    """Object or External metric with an AverageValue: total usage / target per replica.

    `status` is status.replicas; at 0 the ratio is infinite or undefined, never within tolerance.
    """
    per_replica = math.ceil(usage / status) if status else None
    if status and tolerance.covers(usage / (target * status)):
        return Proposed(status, per_replica)
    return Proposed(min(math.ceil(usage / target), INT32_MAX), per_replica)


def _whole(total: int, count: int) -> int:
    """Integer division cut toward zero, as Go's: −5/2 is −2 (Python's // gives −3)."""
    return abs(total) // count * (1 if total >= 0 else -1)
