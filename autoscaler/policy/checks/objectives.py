"""What the objectives mean together with the SLA."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.documents import QueueTimePart
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check
from autoscaler.units import format_duration, format_share

DAY = 86400.0
_SINGLE = ("demand", "queueTime", "dutyCycle", "gpuPower", "forecast")


def _objectives(entry: Entry) -> Iterator[tuple[Route, str]]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        for name in objective.model_dump(by_alias=True, exclude_none=True):
            yield ("spec", "objectives", index, name), name


def _queue_times(entry: Entry) -> Iterator[tuple[Route, QueueTimePart]]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        if objective.queue_time is not None:
            yield ("spec", "objectives", index, "queueTime"), objective.queue_time


@check(
    "duplicate-objective",
    "an objective other than `metric` and `schedule` is listed twice.",
    "The stricter of the two would always win, whichever was meant.",
)
def duplicate_objective(entry: Entry) -> Iterator[Finding]:
    seen: set[str] = set()
    for route, name in _objectives(entry):
        if name in _SINGLE and name in seen:
            yield Finding(route, f"a second {name}", "keep one of the two", on_key=True)
        seen.add(name)


@check(
    "nothing-measures-load",
    "all objectives are schedules or forecasts.",
    "The fleet would follow the clock only, whatever the users do.",
    "warning",
)
def nothing_measures_load(entry: Entry) -> Iterator[Finding]:
    names = {name for _, name in _objectives(entry)}
    if names and names <= {"schedule", "forecast"}:
        message = "no objective looks at the load"
        yield Finding(("spec", "objectives"), message, "add `- demand`", on_key=True)


@check(
    "queue-time-without-limit",
    "a `queueTime` objective has neither `raiseAbove` nor `sla.queueTime` to take it from.",
    "There is nothing to compare with.",
)
def queue_time_without_limit(entry: Entry) -> Iterator[Finding]:
    for route, part in _queue_times(entry):
        if part.raise_above is None and entry.spec.sla.queue_time is None:
            remedy = "add raiseAbove here, or sla.queueTime"
            yield Finding(route, "queueTime has no raiseAbove", remedy, on_key=True)


@check(
    "lower-not-below-raise",
    "`lowerBelow` is not below `raiseAbove`.",
    "Between them the fleet rests. Without that gap it goes up and down all the time.",
)
def lower_not_below_raise(entry: Entry) -> Iterator[Finding]:
    for route, part in _queue_times(entry):
        upper = part.raise_above or entry.spec.sla.queue_time
        if upper is not None and part.lower_below is not None and part.lower_below >= upper:
            lower, above = format_duration(part.lower_below), format_duration(upper)
            message = f"lowerBelow {lower} is not below raiseAbove {above}"
            remedy = f"write at most {format_duration(upper / 2)}, or leave it out for that"
            yield Finding((*route, "lowerBelow"), message, remedy)


@check(
    "raise-above-sla",
    "`raiseAbove` is above `sla.queueTime`.",
    "The fleet would grow only after the promise is broken.",
    "warning",
)
def raise_above_sla(entry: Entry) -> Iterator[Finding]:
    promise = entry.spec.sla.queue_time
    for route, part in _queue_times(entry):
        if promise is not None and part.raise_above is not None and part.raise_above > promise:
            message = f"raiseAbove is above the SLA's {format_duration(promise)}"
            remedy = f"write {format_duration(promise)} or less, or leave it out for that"
            yield Finding((*route, "raiseAbove"), message, remedy)


@check(
    "zero-utilization",
    "`averageUtilization` is 0.",
    "Every reading is infinitely above a target of 0.",
)
def zero_utilization(entry: Entry) -> Iterator[Finding]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        for name, part in (("dutyCycle", objective.duty_cycle), ("gpuPower", objective.gpu_power)):
            if part is not None and part.average_utilization == 0:
                route = ("spec", "objectives", index, name, "averageUtilization")
                yield Finding(route, "a target of 0 can never be met", "write for example 60%")


@check(
    "duty-cycle-unreachable",
    "a `dutyCycle` target is 80 % or more.",
    "A saturated server need not show more: on H200s saturated BERT-large read 0.82 to 0.87 under "
    "steady load and 0.76 to 0.79 under a bursty trace, a small model 0.30 while four of ten "
    "requests were refused. The tolerance of 10 % adds to it: 85 first acts at 93.5. NVIDIA's "
    "samples of 85 and 70 were copied more often than measured.",
    "warning",
)
def duty_cycle_unreachable(entry: Entry) -> Iterator[Finding]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        part = objective.duty_cycle
        if part is not None and 0.8 <= part.average_utilization <= 1:
            target = format_share(part.average_utilization)
            message = f"a saturated server may never reach a duty cycle of {target}"
            remedy = (
                "measure it (BERT-large on H200: 0.76 to 0.87) and keep `- queueTime` beside it"
            )
            route = ("spec", "objectives", index, "dutyCycle", "averageUtilization")
            yield Finding(route, message, remedy)


@check(
    "forecast-out-of-range",
    "the `peak` of a forecast is not between 30s and 30m, its `trend` not between 1m and 1h, or "
    "its `season` neither 1d nor 7d.",
    "The highest of a second is noise, that of hours is a maximum for good; a line through a few "
    "samples is noise, one through hours is history; and load that repeats itself does so by the "
    "day or by the week.",
)
def forecast_out_of_range(entry: Entry) -> Iterator[Finding]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        part = objective.forecast
        route = ("spec", "objectives", index, "forecast")
        if part is None:
            continue
        if part.peak is not None and not 30.0 <= part.peak <= 1800.0:
            message = f"a peak over {format_duration(part.peak)}"
            yield Finding((*route, "peak"), message, "write 30s to 30m; 2m is usual")
        if part.trend is not None and not 60.0 <= part.trend <= 3600.0:
            message = f"a trend over {format_duration(part.trend)}"
            yield Finding((*route, "trend"), message, "write 1m to 1h; 30m is usual")
        if part.season is not None and part.season not in (DAY, 7 * DAY):
            message = f"a season of {format_duration(part.season)}"
            yield Finding((*route, "season"), message, "write 1d or 7d")
