"""Capacity, headroom and profiles."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.diagnostics import Finding
from autoscaler.policy.entry import Entry
from autoscaler.policy.profile import ProfileError
from autoscaler.policy.registry import check

_CAPACITY = ("spec", "capacity")
_LATENCY = ("spec", "sla", "latency")


def quantile(percentile: str) -> float:
    """`p99.9` → 0.999."""
    return round(float(percentile[1:]) / 100, 9)


@check(
    "capacity-conflict",
    "`capacity` is given in more than one way.",
    "`profile`, `requestsPerSecond` and `models` each say what one replica carries; two of them "
    "would have to agree.",
)
def capacity_conflict(entry: Entry) -> Iterator[Finding]:
    part = entry.spec.capacity
    if part is None:
        return
    given = [
        name
        for name, value in (
            ("profile", part.profile),
            ("requestsPerSecond", part.requests_per_second),
            ("models", part.models),
        )
        if value is not None
    ]
    if len(given) > 1:
        message = f"{' and '.join(given)} both say what one replica carries"
        route = (*_CAPACITY, given[1])
        yield Finding(route, message, f"keep one of {', '.join(given)}", on_key=True)


@check(
    "headroom-too-large",
    "`capacity.headroom` is 100 % or more.",
    "Nothing of a replica would be left to serve with.",
)
def headroom_too_large(entry: Entry) -> Iterator[Finding]:
    part = entry.spec.capacity
    if part is not None and part.headroom >= 1:
        message = "a headroom of 100 % or more leaves no capacity"
        yield Finding((*_CAPACITY, "headroom"), message, "write 20%, or 30% for bursty traffic")


@check(
    "latency-without-capacity",
    "`sla.latency` is given with nothing that says at which load it holds.",
    "Queue time says when requests wait, not how long they take: what a replica carries within a "
    "latency must be measured or given.",
)
def latency_without_capacity(entry: Entry) -> Iterator[Finding]:
    part = entry.spec.capacity
    sized = part is not None and (part.profile or part.requests_per_second or part.models)
    if entry.spec.sla.latency and not sized:
        message = "a latency can only be kept with a known capacity"
        remedy = "add capacity.profile (perf_analyzer's CSV) or capacity.requestsPerSecond"
        yield Finding(_LATENCY, message, remedy, on_key=True)


@check(
    "profile-without-latency",
    "a profile is given without `sla.latency`.",
    "Capacity is read from the profile at that latency; without it every load of it would do.",
)
def profile_without_latency(entry: Entry) -> Iterator[Finding]:
    part = entry.spec.capacity
    if part is not None and part.profile and not entry.spec.sla.latency:
        message = "the profile is read at sla.latency, which is missing"
        remedy = "add for example sla.latency: {p99: 100ms}"
        yield Finding((*_CAPACITY, "profile"), message, remedy)


@check(
    "profile-unreadable",
    "a profile is missing, or not what perf_analyzer writes.",
    "Without its numbers there is no capacity.",
)
def profile_unreadable(entry: Entry) -> Iterator[Finding]:
    if isinstance(entry.profile, ProfileError):
        message = f"the profile {entry.profile.reason}"
        yield Finding((*_CAPACITY, "profile"), message, entry.profile.remedy)


@check(
    "profile-percentile",
    "`sla.latency` names a percentile that the profile does not have.",
    "A p99 cannot be read off a p95.",
)
def profile_percentile(entry: Entry) -> Iterator[Finding]:
    if entry.profile is None or isinstance(entry.profile, ProfileError):
        return
    measured = entry.profile.quantiles()
    for percentile in entry.spec.sla.latency:
        if quantile(percentile) not in measured:
            has = ", ".join(f"p{each * 100:g}" for each in measured)
            message = f"the profile has no {percentile}; it has {has}"
            remedy = f"use one of them, or measure with --percentile={percentile[1:]}"
            yield Finding((*_LATENCY, percentile), message, remedy, on_key=True)


@check(
    "profile-sla-not-met",
    "even the lowest load of the profile breaks `sla.latency`.",
    "No number of replicas can keep the promise.",
)
def profile_sla_not_met(entry: Entry) -> Iterator[Finding]:
    if entry.profile is None or isinstance(entry.profile, ProfileError):
        return
    for percentile, limit in entry.spec.sla.latency.items():
        if quantile(percentile) not in entry.profile.quantiles():
            continue
        try:
            entry.profile.capacity(quantile(percentile), limit)
        except ProfileError as error:
            message = f"the profile never keeps it: {error.reason}"
            yield Finding((*_LATENCY, percentile), message, error.remedy)
