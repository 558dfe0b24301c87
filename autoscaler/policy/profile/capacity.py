"""Requests/s that one replica carries within an SLA: interpolated, never extrapolated.

As load grows the first measured load that breaks the SLA ends the sweep; what comes after it is
not counted, even where it keeps the SLA again by luck. Latency is taken as its envelope, the
highest seen so far: of 40 ms, then 20 ms at more load, the 20 ms are the luckier window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from autoscaler.model import Sla
from autoscaler.policy.profile.sweep import Point, Profile, load_name, load_number, percentile
from autoscaler.units import format_duration, format_number

# An open loop that carried less than this of what was offered did not carry it: queues grew, or
# the generator was too slow. perf_analyzer's own Poisson arrivals fall up to 22 % short at 100
# requests a window.
KEPT_UP = 0.75


@dataclass(frozen=True, slots=True)
class Bound:
    """One part of the SLA: `quantile` of latency, or None for the mean time in the queue."""

    quantile: float | None
    limit: float  # seconds

    @property
    def name(self) -> str:
        return "queue time" if self.quantile is None else percentile(self.quantile)

    def __str__(self) -> str:
        return f"{self.name} {format_duration(self.limit)}"

    def of(self, point: Point) -> float:
        """Seconds."""
        value = point.queue_time if self.quantile is None else point.latency[self.quantile]
        assert value is not None, "capacity_at lets no such point through"
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What one replica carries within the SLA.

    `below`: the last measured load that keeps the SLA, `above`: the first that does not, None
    where all do. `way`: how far from one to the other, 0 to 1. `how`: "interpolated" between
    them, or "measured" where the highest measured throughput within the SLA is the answer.
    `bound`: the part of the SLA that ends it, None where none does. `notes`: sentences.
    """

    requests_per_second: float
    how: Literal["interpolated", "measured"]
    below: Point
    above: Point | None
    way: float
    bound: Bound | None
    notes: tuple[str, ...] = ()

    @property
    def load(self) -> float:
        """Concurrency, or requests/s offered, at the answer."""
        if self.how == "measured" or self.above is None:
            return self.below.load
        return self.below.load + self.way * (self.above.load - self.below.load)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, and what to do. `check` is an id of the policy checks.

    `reason` goes on where the name of the profile left off. `seen`: the best of what was measured.
    """

    reason: str
    remedy: str
    line: int | None = None
    seen: Point | None = None
    check: str = "profile-unreadable"


def capacity_at(profile: Profile, sla: Sla) -> Answer | Refusal:
    """The highest requests/s whose latency quantiles and queue time keep `sla`.

    Between concurrency 48 (1,631/s, p99 39.3 ms) and 64 (1,677/s, 52.3 ms) a p99 of 50 ms is
    reached at 1,631 + (50 - 39.3) / (52.3 - 39.3) × 46 = 1,669/s. `sla.rejected` is not read:
    sweeps have no rejections. An `sla` of neither latency nor queue time is a ValueError.
    """
    bounds = [Bound(quantile, limit) for quantile, limit in sla.latency]
    bounds += [Bound(None, sla.queue_time)] if sla.queue_time is not None else []
    if not bounds:
        raise ValueError("an SLA without latency and queue time has no capacity")
    refusal = _not_measured(profile, bounds)
    if refusal is not None:
        return refusal
    points, notes = _worst_of_repeated(profile.points)
    if len(points) == 1:
        return Refusal(
            f"holds one load only ({load_name(profile, points[0].load)})",
            "measure several, up to one that breaks the SLA: --request-rate-range 100:2000:100",
            points[0].line,
            points[0],
        )
    return _walk(profile, points, bounds, notes)


def _not_measured(profile: Profile, bounds: Sequence[Bound]) -> Refusal | None:
    known = profile.quantiles()
    for bound in bounds:
        if bound.quantile is None:
            if any(point.queue_time is None for point in profile.points):
                return Refusal(
                    "has no queue times",
                    "give --sla instead, or a file of perf_analyzer, whose CSV has Server Queue",
                )
        elif bound.quantile not in known:
            has = ", ".join(percentile(each) for each in known) or "no percentile of latency"
            return Refusal(
                f"has no {bound.name} at every load; it has {has}",
                f"use one of them, or measure with --percentile={bound.name[1:]}",
                check="profile-percentile",
            )
    return None


def _worst_of_repeated(points: Sequence[Point]) -> tuple[list[Point], list[str]]:
    """One point a load: the least throughput and the longest times measured there."""
    kept: dict[float, Point] = {}
    repeated: set[float] = set()
    for point in points:
        other = kept.get(point.load)
        if other is not None:
            repeated.add(point.load)
        kept[point.load] = point if other is None else _worse(other, point)
    notes = []
    if repeated:
        which = ", ".join(load_number(load) for load in sorted(repeated))
        notes.append(f"Measured more than once, the worst of it taken: load {which}")
    return [kept[load] for load in sorted(kept)], notes


def _worse(one: Point, other: Point) -> Point:
    slow = min(one, other, key=_throughput)
    queues = [q for q in (one.queue_time, other.queue_time) if q is not None]
    common = one.latency.keys() & other.latency.keys()
    return replace(
        slow,
        latency={
            quantile: max(one.latency[quantile], other.latency[quantile]) for quantile in common
        },
        queue_time=max(queues, default=None),
    )


def _walk(
    profile: Profile, points: Sequence[Point], bounds: Sequence[Bound], notes: list[str]
) -> Answer | Refusal:
    kept: list[Point] = []
    for point in points:
        broken = [bound for bound in bounds if bound.of(point) > bound.limit]
        if broken or _fell_short(profile, point):
            break
        kept.append(point)
    else:
        best = max(kept, key=_throughput)
        notes = [
            "No measured load breaks the SLA: a replica may carry more than was measured",
            *notes,
            *_caveats(profile, points),
        ]
        return Answer(best.requests_per_second, "measured", best, None, 0.0, None, tuple(notes))
    if not kept:
        return _never(profile, points, broken)
    notes += _after(profile, points[len(kept) + 1 :], bounds, point)
    if _fell_short(profile, point):
        notes.append(_short(profile, point))
        broken = []  # its latencies are those of another load: nothing to interpolate towards
    return _edge(profile, kept, point, broken, notes)


def _edge(
    profile: Profile, kept: Sequence[Point], above: Point, broken: Sequence[Bound], notes: list[str]
) -> Answer:
    """Between the last load that keeps the SLA and the first that does not."""
    way, bound = 1.0, None
    for each in broken:
        low = max(each.of(point) for point in kept)
        here = (each.limit - low) / (each.of(above) - low)
        if bound is None or here < way:
            way, bound = here, each
    last, best = kept[-1], max(kept, key=_throughput)
    gained = above.requests_per_second - last.requests_per_second
    rate = last.requests_per_second + way * gained
    if broken and rate > best.requests_per_second:
        notes += _caveats(profile, [*kept, above])
        return Answer(rate, "interpolated", last, above, way, bound, tuple(notes))
    if broken and gained < 0:
        notes.append(
            f"Throughput falls from {format_number(last.requests_per_second)}/s to "
            f"{format_number(above.requests_per_second)}/s on the way to the load that breaks the "
            "SLA: the highest measured within it counts"
        )
    notes += _caveats(profile, [*kept, above])
    return Answer(best.requests_per_second, "measured", best, above, 0.0, bound, tuple(notes))


def _never(profile: Profile, points: Sequence[Point], broken: Sequence[Bound]) -> Refusal:
    """Even the lowest load is too much."""
    first = points[0]
    remedy = "relax the SLA, speed the model up, or measure lower loads"
    if not broken:
        reason = f"even its lowest load was not carried. {_short(profile, first)}"
        return Refusal(reason, remedy, first.line, first, "profile-sla-not-met")
    bound = broken[0]
    seen = min(points, key=bound.of)
    reason = (
        f"even its lowest load takes {bound.of(first) * 1e3:.4g} ms at {bound.name}, the SLA "
        f"allows {bound.limit * 1e3:.4g} ms; best seen: {bound.of(seen) * 1e3:.4g} ms at "
        f"{format_number(seen.requests_per_second)} requests/s"
    )
    return Refusal(reason, remedy, first.line, seen, "profile-sla-not-met")


def _throughput(point: Point) -> float:
    return point.requests_per_second


def _fell_short(profile: Profile, point: Point) -> bool:
    return profile.mode == "open" and point.requests_per_second < KEPT_UP * point.load


def _short(profile: Profile, point: Point) -> str:
    return (
        f"Of {load_name(profile, point.load)} only {format_number(point.requests_per_second)}/s "
        "were answered: its latencies are not those of that load, and the sweep ends before it"
    )


def _after(
    profile: Profile, later: Sequence[Point], bounds: Sequence[Bound], broke: Point
) -> list[str]:
    """Loads beyond the first break that keep the SLA again."""
    again = [point for point in later if all(bound.of(point) <= bound.limit for bound in bounds)]
    if not again:
        return []
    best = max(again, key=lambda point: point.requests_per_second)
    note = (
        f"Not monotone: {load_name(profile, broke.load)} breaks the SLA and "
        f"{load_name(profile, best.load)} ({format_number(best.requests_per_second)}/s) keeps it "
        "again. Counted up to the first break; measure longer windows, or use a lower percentile"
    )
    return [note]


def _caveats(profile: Profile, points: Sequence[Point]) -> Iterator[str]:
    if profile.mode == "closed":
        top = max(point.load for point in points)
        yield (
            f"Closed loop: there are never more than {top:g} requests under way, so this is not "
            "the latency of users who come by themselves, who also come in bunches. A sweep by "
            "--request-rate-range with --request-distribution poisson shows that"
        )
    for before, after in pairwise(points):
        if after.requests_per_second < 0.8 * before.requests_per_second:
            yield (
                f"Throughput is not monotone: {format_number(before.requests_per_second)}/s at "
                f"{load_name(profile, before.load)}, {format_number(after.requests_per_second)}/s "
                f"at {load_name(profile, after.load)}, as if of two servers: look at the file"
            )
            break
    yield from profile.notes
