"""The link from an SLA to GPU duty cycle: "while the duty cycle is below X, p99 is below Y".

An HPA with target T acts once it reads more than 1.1 × T (its tolerance of 10 %), so that T must
be at least a tenth below what the GPU reads where the SLA is reached: 88 % there make 80 %. With a
headroom T is what the GPU reads at that much less load, if that is lower.

The link exists only where utilisation tells loads within the SLA from loads beyond it. A ResNet50
with one instance read 24 to 29 % from concurrency 1 to 64, while p99 went from 6 to 294 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autoscaler.model import Sla
from autoscaler.policy.profile.capacity import Answer, Refusal, capacity_at
from autoscaler.policy.profile.sweep import Point, Profile, load_name
from autoscaler.units import format_number, format_share

TOLERANCE = 0.1  # of the HPA, and of our dutyCycle objective
PUBLISHED = (0.70, 0.85)  # targets in NVIDIA's samples for GKE
_COLLECT = "measure with perf_analyzer --verbose-csv --collect-metrics, or Model Analyzer"
_OTHERWISE = "size from demand and queue time, which need no duty cycle"


@dataclass(frozen=True, slots=True)
class DutyCycle:
    """`target`: averageUtilization to write. `at_sla`: what the GPU reads where the SLA is reached,
    `highest`: the highest of all loads. 0 to 1. `growth`: with everything saturated one decision
    multiplies the replicas by this at most. `published`: a sentence on each of NVIDIA's targets.
    """

    target: float
    at_sla: float
    highest: float
    growth: float
    published: tuple[str, ...]


def duty_cycle_at(profile: Profile, sla: Sla, headroom: float = 0.0) -> DutyCycle | Refusal:
    """The `dutyCycle` target that acts as `sla` is reached. `headroom`: 0.2 keeps 20 % free."""
    answer = capacity_at(profile, sla)
    if isinstance(answer, Refusal):
        return answer
    refusal = _unsupported(profile, answer)
    if refusal is not None:
        return refusal
    kept = _within(profile, answer)
    above = answer.above
    assert above is not None, "_unsupported lets none of these through"
    low = _share(answer.below)
    at_sla = low
    if answer.how == "interpolated":
        at_sla = low + answer.way * (_share(above) - low)
    highest = max(_share(point) for point in profile.points)
    target = min(at_sla / (1 + TOLERANCE), _with_headroom(kept, answer, at_sla, headroom))
    target = int(target * 100) / 100  # a whole percent below rather than above
    published = tuple(_verdict(profile, kept, answer, each) for each in PUBLISHED)
    return DutyCycle(target, at_sla, highest, highest / target, published)


def _unsupported(profile: Profile, answer: Answer) -> Refusal | None:
    """Where the data do not support the link."""
    unknown = [point for point in profile.points if point.gpu_utilization is None]
    if len(unknown) == len(profile.points):
        return Refusal("has no GPU utilisation, or 0 at every load", _COLLECT)
    if unknown:
        loads = ", ".join(f"{point.load:g}" for point in unknown[:5])
        return Refusal(f"has no GPU utilisation at load {loads}", _COLLECT, unknown[0].line)
    if answer.above is None:
        return Refusal(
            "breaks the SLA at no measured load: what the GPU reads where it is reached, and "
            "beyond, was not seen",
            "measure higher loads",
        )
    kept = _within(profile, answer)
    return _falling(profile, kept) or _flat(profile, kept, answer) or _blind(profile, kept)


def _falling(profile: Profile, kept: Sequence[Point]) -> Refusal | None:
    for before, after in pairwise(kept):
        if _share(after) < _share(before) * (1 - TOLERANCE):
            return Refusal(
                f"reads {_reading(profile, before)}, then {_reading(profile, after)}: utilisation "
                "falls while load grows, so it does not tell the load",
                _OTHERWISE,
                after.line,
            )
    return None


def _flat(profile: Profile, kept: Sequence[Point], answer: Answer) -> Refusal | None:
    """At half the load or less it must read at least two tolerances below the SLA's reading."""
    half = [p for p in kept if p.requests_per_second <= answer.requests_per_second / 2]
    if not half:
        lowest = min(kept, key=lambda point: point.requests_per_second)
        return Refusal(
            f"reads {_reading(profile, lowest)} at its lowest load, more than half of what the SLA "
            "allows: how utilisation grows up to there was not measured",
            "measure lower loads as well, by --request-rate-range",
            lowest.line,
        )
    most = max(half, key=_share)
    if _share(most) * (1 + TOLERANCE) ** 2 <= _share(kept[-1]):
        return None
    return Refusal(
        f"reads {_reading(profile, most)} and {_reading(profile, kept[-1])}: utilisation is flat, "
        "it does not tell half the load from all of it",
        _OTHERWISE,
        most.line,
    )


def _blind(profile: Profile, kept: Sequence[Point]) -> Refusal | None:
    """Beyond the SLA it must never read less than it reads within."""
    top = max(kept, key=_share)
    for point in profile.points:
        if point.load > kept[-1].load and _share(point) <= _share(top):
            return Refusal(
                f"reads {_reading(profile, top)}, within the SLA, and "
                f"{_reading(profile, point)}, which breaks it: a target that acts on the second "
                "acts on the first as well",
                f"{_OTHERWISE}; a GPU far from busy at saturation wants more model instances",
                point.line,
            )
    return None


def _with_headroom(kept: Sequence[Point], answer: Answer, at_sla: float, headroom: float) -> float:
    """What the GPU reads at (1 - headroom) of the answer; the SLA's where nothing that low was
    measured."""
    wanted = (1 - headroom) * answer.requests_per_second
    curve = [(point.requests_per_second, _share(point)) for point in kept]
    curve.append((answer.requests_per_second, at_sla))
    for (left, low), (right, high) in pairwise(sorted(curve)):
        if left <= wanted <= right and right > left:
            return low + (wanted - left) / (right - left) * (high - low)
    return at_sla


def _verdict(profile: Profile, kept: Sequence[Point], answer: Answer, target: float) -> str:
    """When an HPA at a published target would act on this server."""
    edge = target * (1 + TOLERANCE)
    first = next((point for point in profile.points if _share(point) > edge), None)
    name = f"NVIDIA's published {format_share(target)} acts above {format_share(edge)}"
    if first is None:
        highest = max(_share(point) for point in profile.points)
        return f"{name}: never, this server reads {format_share(highest)} at most"
    if first in kept:
        share = first.requests_per_second / answer.requests_per_second
        return f"{name}: at {format_share(share)} of what the SLA allows"
    return f"{name}: first at {load_name(profile, first.load)}, after the SLA is broken"


def _within(profile: Profile, answer: Answer) -> list[Point]:
    above = answer.above
    return [point for point in profile.points if above is None or point.load < above.load]


def _share(point: Point) -> float:
    return point.gpu_utilization or 0.0


def _reading(profile: Profile, point: Point) -> str:
    rate = format_number(point.requests_per_second)
    share = format_share(_share(point))
    return f"{share} at {load_name(profile, point.load)} ({rate}/s)"
