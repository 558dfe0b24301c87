"""From signals to metric values: numerators and denominators that add up, then one division.

A mean over models or pods is a ratio of sums: 100 requests that waited 1 ms beside 1 that waited
101 ms are 1.99 ms on average, not 51. Whatever is not known leaves the whole sum unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

from autoscaler.decide.fleet import Trust
from autoscaler.model import Missing, ModelSignals, Pod, Sample, Signal
from autoscaler.serve.metrics_api.catalog import Definition


class Part(NamedTuple):
    """Σ top is the value of an additive metric, Σ top / Σ bottom that of a ratio.

    `at` is when the older of the two was measured, `window` the seconds they average over.
    """

    top: float
    bottom: float
    at: float
    window: float


class Series(NamedTuple):
    """One model's part in a pod; `model` is None where it is measured on the whole pod."""

    model: str | None
    part: Part | Missing


ANY_MODEL = "*"  # stands for the models of a pod of which none is known
NO_SIGNALS = Missing("no signals yet")
NO_POD = Missing("no pod is serving")

_Pick = Callable[[ModelSignals], Signal]
_arrivals: _Pick = attrgetter("arrivals")
# numerator, denominator, unit: queueing is seconds per second, 0.03 over 20 requests/s is 1,500 µs
_MODEL: dict[str, tuple[_Pick, _Pick | None, float]] = {
    "avg_time_queue_us": (attrgetter("queueing"), attrgetter("completions"), 1e6),
    "pending_requests": (attrgetter("pending"), None, 1.0),
    "request_rate": (_arrivals, None, 1.0),
    "rejected_ratio": (attrgetter("rejected"), _arrivals, 1.0),
}
_POD: dict[str, tuple[Callable[[Pod], Signal], float]] = {
    "gpu_duty_cycle": (attrgetter("duty_cycle"), 100.0),
    "gpu_power_ratio": (attrgetter("gpu_power"), 1.0),
}


def pod_series(key: str, pod: Pod, trust: Trust) -> list[Series]:
    """Of one pod: a series for each model, or one for the pod; what is stale is Missing."""
    if key in _POD:
        signal, scale = _POD[key]
        return [Series(None, _part(signal(pod), None, scale, trust))]
    top, bottom, scale = _MODEL[key]
    return [
        Series(
            signals.model,
            _part(top(signals), None if bottom is None else bottom(signals), scale, trust),
        )
        for signals in pod.models
    ]


def combine(definition: Definition, parts: Iterable[Part | Missing]) -> Sample | Missing:
    """As old as its oldest part. Without a part: Missing."""
    top = bottom = window = 0.0
    oldest: float | None = None
    for part in parts:
        if isinstance(part, Missing):
            return part
        top += part.top
        bottom += part.bottom
        if oldest is None or part.at < oldest:
            oldest = part.at
        if part.window > window:
            window = part.window
    if oldest is None:
        return NO_POD
    if definition.additive:
        return Sample(top, oldest, window)
    # Nothing completed and nothing waits (a wait without an end is Missing): nobody waited.
    ratio = top / bottom if bottom else 0.0
    if definition.key == "rejected_ratio" and ratio > 1.0:
        ratio = 1.0  # arrivals count a falling backlog as negative
    return Sample(ratio, oldest, window)


def trusted(signal: Signal, trust: Trust) -> Sample | Missing:
    """For values that may be negative (a policy's own query): fresh, or the reason why not."""
    if isinstance(signal, Missing):
        return signal
    stale = trust.problem(Sample(0.0, signal.at, signal.window))
    return Missing(stale) if stale else signal


def _part(top: Signal, bottom: Signal | None, scale: float, trust: Trust) -> Part | Missing:
    above = trust.value(top)
    if above is None or isinstance(top, Missing):
        return _missing(top, trust)
    if bottom is None:
        return Part(above * scale, 1.0, top.at, top.window)
    below = trust.value(bottom)
    if below is None or isinstance(bottom, Missing):
        return _missing(bottom, trust)
    return Part(above * scale, below, min(top.at, bottom.at), top.window)


def _missing(signal: Signal, trust: Trust) -> Missing:
    return signal if isinstance(signal, Missing) else Missing(trust.problem(signal) or "unknown")
