"""The 4-GPU recording's own figures, to hold the simulation against."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

START = 1795248926.1  # the first second of load
_LINE = re.compile(r'(\w+)\{[^}]*pod="(triton-\d)"[^}]*\} (\S+) (\S+)$')


@dataclass(frozen=True)
class Figures:
    """Of the live replicas together: ms, requests an execution, 0..1, watts, requests."""

    queue_ms: float
    batch: float
    utilization: float
    watts: float
    pending: float


@cache
def _samples(path: Path) -> dict[tuple[str, str], dict[float, float]]:
    found: dict[tuple[str, str], dict[float, float]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            match = _LINE.match(line.strip())
            if match and "quantile" not in line and "reason" not in line:
                name, pod, value, at = match.groups()
                found.setdefault((name, pod), {})[float(at) - START] = float(value)
    return found


def recorded(recordings: Path, since: float, until: float, pods: list[str]) -> Figures:
    """Ratio of sums of the counters' changes, and means of the gauges, in [since, until]."""
    samples = _samples(recordings / "h200-bert-large-4gpu" / "scrapes.om.gz")

    def gauge(name: str) -> float:
        values = [v for pod in pods for t, v in samples[name, pod].items() if since <= t <= until]
        return sum(values) / len(values)

    def change(name: str) -> float:
        total = 0.0
        for pod in pods:
            inside = [v for t, v in sorted(samples[name, pod].items()) if since <= t <= until]
            total += inside[-1] - inside[0]
        return total

    success = change("nv_inference_request_success")
    return Figures(
        queue_ms=change("nv_inference_queue_duration_us") / success / 1000,
        batch=success / change("nv_inference_exec_count"),
        utilization=gauge("nv_gpu_utilization"),
        watts=gauge("nv_gpu_power_usage"),
        pending=gauge("nv_inference_pending_request_count"),
    )


def changes_by_scrape(recordings: Path) -> list[tuple[float, float, float, float]]:
    """(second, seconds since the scrape before, successes, seconds of queueing) of the fleet.

    Only servers that both scrapes tell, without those whose counters were reset.
    """
    samples = _samples(recordings / "h200-bert-large-4gpu" / "scrapes.om.gz")
    times = sorted({at for (name, _), s in samples.items() if "success" in name for at in s})
    found = []
    for before, at in pairwise(times):
        success = queue = 0.0
        for pod in ("triton-0", "triton-1", "triton-2", "triton-3"):
            done = samples["nv_inference_request_success", pod]
            queued = samples["nv_inference_queue_duration_us", pod]
            if before in done and at in done and done[at] >= done[before]:
                success += done[at] - done[before]
                queue += (queued[at] - queued[before]) / 1e6
        found.append((at, at - before, success, queue))
    return found
