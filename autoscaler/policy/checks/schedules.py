"""`schedule` objectives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.documents import SchedulePart
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check


def _schedules(entry: Entry) -> Iterator[tuple[Route, SchedulePart]]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        if objective.schedule is not None:
            yield ("spec", "objectives", index, "schedule"), objective.schedule


@lru_cache(maxsize=1024)
def _cron_fault(cron: str) -> str | None:
    from cronsim import CronSim, CronSimError

    if len(cron.split()) != 5:
        return f"cron has five fields, this has {len(cron.split())}"
    if len(cron) > 200:
        return "cron expressions are shorter than 200 characters"
    try:
        # the start only matters for expressions that never fire
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "it never fires"
    return None


@lru_cache(maxsize=1024)
def _is_timezone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # "America" is a folder: OSError
        return False
    return True


@check(
    "bad-cron",
    "`cron` is not a cron expression of five fields, or never fires.",
    "The floor would never be raised.",
)
def bad_cron(entry: Entry) -> Iterator[Finding]:
    for route, part in _schedules(entry):
        fault = _cron_fault(part.cron)
        if fault:
            remedy = 'write minute hour day month weekday: "0 8 * * MON-FRI"'
            yield Finding((*route, "cron"), f"not a schedule: {fault}", remedy)


@check(
    "unknown-timezone",
    "`timezone` is not in the IANA database.",
    "Abbreviations such as CST mean several zones.",
)
def unknown_timezone(entry: Entry) -> Iterator[Finding]:
    for route, part in _schedules(entry):
        if not _is_timezone(part.timezone):
            message = f"{part.timezone} is not a time zone"
            yield Finding((*route, "timezone"), message, "write for example Asia/Taipei or UTC")


@check(
    "schedule-outside-bounds",
    "the `min` of a schedule is outside `replicas`.",
    "Above max it cannot be reached, below min it does nothing.",
)
def schedule_outside_bounds(entry: Entry) -> Iterator[Finding]:
    bounds = entry.spec.replicas
    for route, part in _schedules(entry):
        if bounds.min <= bounds.max and not bounds.min <= part.min <= bounds.max:
            message = f"{part.min} is outside {bounds.min} to {bounds.max}"
            yield Finding((*route, "min"), message, "write a number within spec.replicas")
