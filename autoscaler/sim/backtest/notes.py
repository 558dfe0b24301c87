"""What is odd about a history: gaps, resets, scrape intervals that move, what is not there."""

from __future__ import annotations

from autoscaler.sim.backtest.findings import Finding, between, stamp
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.questions import REPLICAS
from autoscaler.units import format_duration

SHOWN = 5


def findings(history: History) -> list[Finding]:
    return [*_gaps(history), *_intervals(history), *_resets(history), *_absent(history)]


def _gaps(history: History) -> list[Finding]:
    found = []
    for start, end in history.gaps:
        # A pod's first sample and its last one are an interval from the edge.
        if end - start <= 3 * history.interval(start) + 5.0:
            continue
        reason = "no sample of any pod"
        remedy = "its minutes are not judged; the load inside is drawn even from side to side"
        if start <= history.start:
            reason, remedy = "nothing was recorded yet", f"begin at --from {stamp(end)}"
        elif end >= history.end:
            reason, remedy = "nothing more was recorded", f"end at --to {stamp(start)}"
        found.append(Finding(between(start, end), reason, remedy, start, end))
    if len(found) > SHOWN:
        more = found[SHOWN:]
        hidden = sum((one.end or 0.0) - (one.start or 0.0) for one in more)
        reason = f"{len(more)} more stretches without a sample, {format_duration(hidden)} in all"
        found[SHOWN:] = [Finding("the history", reason, "its minutes are not judged")]
    return found


def _intervals(history: History) -> list[Finding]:
    found = []
    for (_, before), (at, after) in zip(history.intervals, history.intervals[1:], strict=False):
        reason = (
            f"the scrape interval goes from {format_duration(before)} to {format_duration(after)}"
        )
        remedy = "windows follow it, as those of a daemon do"
        found.append(Finding(stamp(at), reason, remedy, at))
    return found[:SHOWN]


def _resets(history: History) -> list[Finding]:
    resets = sorted((pod.times[i], pod.name) for pod in history.pods for i in pod.resets)
    if not resets:
        return []
    at, pod = resets[0]
    times = "once" if len(resets) == 1 else f"{len(resets)} times"
    reason = f"counters begin anew under the same pod name {times}, the first in {pod}"
    remedy = "growth is counted from 0 there; what a server did before its end is lost"
    return [Finding(stamp(at), reason, remedy, at)]


def _absent(history: History) -> list[Finding]:
    found = []
    if not history.spec:
        found.append(
            Finding(
                REPLICAS,
                f"no kube-state-metrics series of {history.target.kind} {history.target.name}",
                "replicas are counted by the pods that were scraped: starts and ends of pods, "
                "and pods that never came up, are not in what ran",
            )
        )
    lacking = [
        pod.name
        for pod in history.pods
        if any(model.pending is None for model in pod.models.values())
    ]
    if lacking:
        found.append(
            Finding(
                "pending",
                f"{len(lacking)} of {len(history.pods)} pods have no "
                "nv_inference_pending_request_count",
                "Triton has it since 23.09; without it a stalled server looks idle",
            )
        )
    return found
