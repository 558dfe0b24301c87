"""What to ask of Triton's metrics and what the answers mean, for both sources.

Every `nv_inference_*` counter moves only when a request completes, and every series may come
twice (with and without `gpu_uuid`; the duplicate is 0) and once per version. So series are summed
over `version` and `gpu_uuid`, never averaged and never matched on them. The sum is taken within a
scrape job and the highest job counts: a pod scraped by a PodMonitor and by an annotation besides
would otherwise carry twice its load.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from autoscaler.model import Missing, ModelSignals, Sample, Signal, Windows
from autoscaler.observe.windows import FAST_SCRAPES
from autoscaler.units import format_duration, format_number

SUCCESS = "nv_inference_request_success"
FAILURE = "nv_inference_request_failure"
QUEUE = "nv_inference_queue_duration_us"
PENDING = "nv_inference_pending_request_count"
GPU_UTILIZATION = "nv_gpu_utilization"
GPU_POWER = "nv_gpu_power_usage"
GPU_POWER_LIMIT = "nv_gpu_power_limit"
REJECTED = "REJECTED"  # the value of the label `reason`

# The label that tells the vectors of one answer apart; first among a row's sorted labels.
PART = "_part"

# A raw number, or why there is none.
Part: TypeAlias = float | Missing

YOUNG = Missing("younger than two scrapes, or scrapes were lost: a rate needs two samples")
NO_GAUGE = Missing(
    f"no {PENDING}: Triton has it since 23.09; without it a stalled server looks idle"
)
NO_QUEUE = Missing(f"no {QUEUE} beside {SUCCESS}")
NO_REASON = Missing(f"{FAILURE} carries no reason: Triton tells it since 24.08")


# --- PromQL ----------------------------------------------------------------------------------


def queries(windows: Windows, interval: float | None = None) -> dict[str, str]:
    """The instant queries of one tick by name: nine, whatever the number of pods and policies.

    `queueing` and `completions` share a window and its extrapolation, so that their ratio is the
    exact mean: 400 ms of queueing per second over 20 requests/s is 20 ms each.
    """
    fast, slow = span(windows.fast), span(windows.slow)
    interval = interval or windows.fast / FAST_SCRAPES
    return {
        # requests/s completed; rate() survives resets, delta() on a counter does not
        "completions": _rate(SUCCESS, fast, windows.fast, interval),
        "completions slow": _rate(SUCCESS, slow, windows.slow, interval),
        # µs of queueing per second, all requests together (`compute` is not in it)
        "queueing": _rate(QUEUE, fast, windows.fast, interval),
        "queueing slow": _rate(QUEUE, slow, windows.slow, interval),
        # Both windows, all reasons. Absent means that none failed: 20,000 zeros are not sent.
        "failures": _either(
            fast=_per("namespace,pod,model,reason", f"rate({FAILURE}[{fast}])") + " > 0",
            slow=_per("namespace,pod,model,reason", f"rate({FAILURE}[{slow}])") + " > 0",
        ),
        # The gauge's true value is on the series without gpu_uuid, the others are 0: a sum.
        "pending": _per("namespace,pod,model", PENDING),
        # Lowest and highest level; absent means 0. With several versions a sum of lowest levels
        # is at most the lowest sum, and a sum of highest ones at least the highest.
        "pending range": _either(
            floor=_per("namespace,pod,model", f"min_over_time({PENDING}[{fast}])") + " > 0",
            peak=_per("namespace,pod,model", f"max_over_time({PENDING}[{slow}])") + " > 0",
        ),
        # requests/s by which the backlog grows; absent means level. 10 pending, then 70 a minute
        # later: 1 request/s arrived that no counter shows yet.
        "pending change": _either(
            fast=_change(PENDING, fast, windows.fast) + " != 0",
            slow=_change(PENDING, slow, windows.slow) + " != 0",
        ),
        # When the last sample was taken: an instant answer's own time is that of the question.
        # And the rows with a version: absent means 1, so 20,000 ones are not sent.
        "sample times": f"max by (namespace,pod)(timestamp({SUCCESS})) or {_versions()}",
    }


def scrape_times_query(pods: Sequence[str]) -> str:
    """Raw samples of a few pods over five minutes: their spacing is the scrape interval.

    A count over a window would read a pod of half a minute as scraped every 2 minutes.
    """
    return f'{SUCCESS}{{pod=~"{"|".join(pods)}"}}[300s]'


def span(seconds: float) -> str:
    """A duration in PromQL: 60 → `60s`, 0.5 → `500ms`."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"


def _rate(metric: str, window: str, seconds: float, interval: float) -> str:
    """Growth per second between the first and the last sample of the window.

    rate() divides by the whole window, adds half a step where a series begins, and bounds that by
    when the counter was 0: 5 s of 300 requests/s in a window of 20 s read 113/s, and of ten idle
    models with a request each, every one is scaled by another factor. With n samples in a row,
    (max − min) / ((n − 1) × interval) is exact: 1,500 more in 5 s are 300/s. rate() is right where
    the counter was reset, or where a scrape in the middle was lost.

    max and min pass over NaN, so that one number among NaNs would read as no growth, a 0; the sum
    does not, and nothing times it is NaN again.
    """
    exact = (
        f"(max_over_time({metric}[{window}]) - min_over_time({metric}[{window}])"
        f" + 0 * sum_over_time({metric}[{window}]))"
        f" / (({interval:g} * (count_over_time({metric}[{window}]) - 1)) > 0)"
    )
    reset = f"resets({metric}[{window}]) > 0"
    gaps = f"count_over_time({metric}[{window}]) < {math.floor(seconds / interval):d}"
    # A sample within 1.1 steps of its start: the series was there when the window began.
    began = f"timestamp({metric} offset {span(seconds - 1.1 * interval)}) > time() - {seconds:g}"
    inexact = f"(({reset}) or (({gaps}) and ({began})))"
    return _per("namespace,pod,model", f"({exact} unless {inexact}) or rate({metric}[{window}])")


def _change(gauge: str, window: str, seconds: float) -> str:
    """Change of a gauge per second; of a series younger than the window, by its slope."""
    old = f"delta({gauge}[{window}]) / {seconds:g} and {gauge} offset {window}"
    return _per("namespace,pod,model", f"{old} or deriv({gauge}[{window}])")


def _per(labels: str, expression: str) -> str:
    # exported_namespace is Triton's own model namespace where it meets Kubernetes' label: one
    # model name in two of them counts as one model.
    inner = f"sum without (version,gpu_uuid,exported_namespace)({expression})"
    return f"max by ({labels})({inner})"


def _versions() -> str:
    return f'group by (namespace,pod,model,version)({SUCCESS}{{version!~"1?"}})'


def _either(**parts: str) -> str:
    """Several vectors in one answer, told apart by a label that sorts before all others."""
    return " or ".join(
        f'label_replace({expression}, "{PART}", "{name}", "", "")'
        for name, expression in parts.items()
    )


# --- arithmetic ------------------------------------------------------------------------------


def model_signals(
    model: str,
    at: float,
    windows: Windows,
    completed: Part,
    completed_slow: Part,
    queued: Part,
    queued_slow: Part,
    failed: Part,
    failed_slow: Part,
    rejected: Part,
    pending: Part,
    floor: Part,
    peak: Part,
    change: Part,
    change_slow: Part,
    *,
    versions: str | None = None,
) -> ModelSignals:
    """The signals of one model in one pod from their raw parts; `at` is the last sample's time.

    Rates are per second over the fast or slow window, `queued` in µs/s, `failed` over all
    reasons and `rejected` those that Triton counts as such; `change` is the growth of pending.
    Requests refused at a full queue are in none of them (measured: 49,236).
    """
    fast, slow = windows.fast, windows.slow
    frozen = _frozen(completed_slow, failed_slow, pending, peak, slow)
    if frozen is not None:
        completed = completed_slow = queued = queued_slow = frozen
    return ModelSignals(
        model,
        _arrivals(completed, failed, change, pending, at, fast),
        _arrivals(completed_slow, failed_slow, change_slow, pending, at, slow),
        completed if isinstance(completed, Missing) else Sample(completed, at, fast),
        completed_slow if isinstance(completed_slow, Missing) else Sample(completed_slow, at, slow),
        _queueing(queued, completed, pending, at, fast),
        _queueing(queued_slow, completed_slow, pending, at, slow),
        rejected if isinstance(rejected, Missing) else Sample(rejected, at, fast),
        pending if isinstance(pending, Missing) else Sample(pending, at),
        floor if isinstance(floor, Missing) else Sample(floor, at, fast),
        peak if isinstance(peak, Missing) else Sample(peak, at, slow),
        versions,
    )


def other_versions(labels: Iterable[str]) -> str | None:
    """Triton's `version` labels without the usual 1: {"1", "10", "2"} → "2,10", {"1"} → None."""
    others = {label for label in labels if label not in ("", "1")}
    return ",".join(sorted(others, key=lambda label: (len(label), label))) or None


def unknown_model(model: str, why: Missing) -> ModelSignals:
    """All signals Missing for one reason."""
    return ModelSignals(model, why, why, why, why, why, why, why, why, why, why)


def _arrivals(
    completed: Part, failed: Part, change: Part, pending: Part, at: float, window: float
) -> Signal:
    """arrivals = completions + failures + change of pending.

    A server that stalls at 100 requests/s completes 0/s while pending grows by 100/s: 100 arrive.
    Nothing at all is 0 only where nothing is pending either; otherwise it is not known.
    """
    if change is NO_GAUGE:
        change = 0.0  # an old Triton: what completes is the best there is, while it completes
    if isinstance(completed, Missing):
        return completed
    if isinstance(failed, Missing):
        return failed
    if isinstance(change, Missing):
        return change
    total = completed + failed + change
    if total > 0.0 or completed > 0.0:
        return Sample(max(total, 0.0), at, window)  # a backlog may drain faster than it is fed
    if isinstance(pending, Missing):
        return pending
    if pending > 0.0:
        return Missing(
            f"{format_number(pending)} pending and none completed in {format_duration(window)}: "
            "stalled or slow, the load is unknown"
        )
    return Sample(0.0, at, window)


def _queueing(queued: Part, completed: Part, pending: Part, at: float, window: float) -> Signal:
    """Seconds of queueing per second: 30,000 µs/s are 0.03, that is 0.03 requests waiting."""
    if isinstance(queued, Missing):
        return queued
    if completed == 0.0 and pending != 0.0:
        if isinstance(pending, Missing):
            return pending
        return Missing(f"none of {format_number(pending)} pending has completed: wait unknown")
    return Sample(queued / 1e6, at, window)


def _frozen(
    completed: Part, failed: Part, pending: Part, peak: Part, window: float
) -> Missing | None:
    """Requests leave the server and no counter moves: counters that say nothing, not no load."""
    if completed != 0.0 or failed != 0.0:
        return None
    if isinstance(pending, Missing) or isinstance(peak, Missing) or pending >= peak:
        return None
    return Missing(
        f"counters stand still over {format_duration(window)} while pending went from "
        f"{format_number(peak)} to {format_number(pending)}: is Triton started with "
        "--metrics-config counter_latencies=false?"
    )
