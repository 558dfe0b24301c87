"""perf_analyzer's `--profile-export-file`: each request with the moments it was sent and answered.

One experiment a load. Requests/s = requests answered / length of the windows, 321 in 3.603 s =
89.1/s; latency from the sending to the last response (decoupled models have several). Client
batches do not matter here: requests are counted, not inferences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.policy.profile.sweep import Mode, Point, Profile, ProfileError

TOOL = "perf_analyzer --profile-export-file"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
_MODES: dict[str, Mode] = {"concurrency": "closed", "request_rate": "open"}
_AGAIN = "run perf_analyzer --profile-export-file again"


def is_request_log(document: Any) -> bool:
    return isinstance(document, dict) and "experiments" in document


def read_request_log(document: Mapping[str, Any]) -> Profile:
    """Raises ProfileError."""
    experiments = document["experiments"]
    if not isinstance(experiments, list) or not experiments:
        raise ProfileError("holds no experiment", _AGAIN)
    modes = set()
    points = []
    notes: list[str] = []
    for number, experiment in enumerate(experiments, start=1):
        try:
            kind, load = experiment["experiment"]["mode"], experiment["experiment"]["value"]
            if kind not in _MODES:
                raise ProfileError(
                    f"has an experiment of mode {kind!r}",
                    "sweep with --concurrency-range or --request-rate-range",
                )
            modes.add(_MODES[kind])
            points.append(_point(float(load), experiment, notes))
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, ProfileError):
                raise
            raise ProfileError(
                f"has an experiment (number {number}) without what it should have: {error}", _AGAIN
            ) from None
    if len(modes) > 1:
        raise ProfileError("mixes concurrencies and request rates", "export one sweep to one file")
    ordered = tuple(sorted(points, key=lambda point: point.load))
    return Profile(ordered, modes.pop(), 1, tool=TOOL, notes=tuple(notes))


def _point(load: float, experiment: Mapping[str, Any], notes: list[str]) -> Point:
    requests = experiment["requests"]
    answered = [request for request in requests if request.get("response_timestamps")]
    if not answered:
        raise ProfileError(f"has no answered request at load {load:g}", _AGAIN)
    if len(answered) < len(requests):
        lost = len(requests) - len(answered)
        notes.append(f"At load {load:g} {lost} of {len(requests)} requests were not answered")
    ends = [max(request["response_timestamps"]) for request in answered]
    latencies = sorted(
        (end - request["timestamp"]) / 1e9 for end, request in zip(ends, answered, strict=True)
    )
    if latencies[0] < 0:
        raise ProfileError(f"has an answer before its request at load {load:g}", _AGAIN)
    return Point(
        load,
        len(answered) / _length(experiment, answered, ends),
        {q: _quantile(latencies, q) for q in QUANTILES if len(latencies) * (1 - q) >= 0.999},
        sum(latencies) / len(latencies),
    )


def _length(
    experiment: Mapping[str, Any], answered: Sequence[Mapping[str, Any]], ends: Sequence[int]
) -> float:
    """Seconds of the windows; of older exports without them, first request to last answer."""
    bounds = experiment.get("window_boundaries") or []
    if len(bounds) >= 2 and bounds[-1] > bounds[0]:
        return float(bounds[-1] - bounds[0]) / 1e9
    first = min(request["timestamp"] for request in answered)
    return max(float(max(ends) - first) / 1e9, 1e-9)


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """As perf_analyzer takes it: the value at rank q × (n - 1), rounded half up."""
    return ordered[int(quantile * (len(ordered) - 1) + 0.5)]
