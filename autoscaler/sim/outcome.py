"""What a run came to: its report and its summary, all measured by that run alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from autoscaler.model import Decision, Policy
from autoscaler.sim.plot import Limit, Mark, Panel, Series
from autoscaler.sim.report import changes, write_report
from autoscaler.sim.screen import elapsed
from autoscaler.sim.world import Point, World


def report_of(
    path: Path,
    world: World,
    policy: Policy,
    decisions: Sequence[Decision],
    *,
    cut_short: bool,
    seed: int,
) -> None:
    length = elapsed(world.now - world.start)
    subtitle = (
        f"{length} of a simulated fleet of Triton servers (BERT-large on H200, calibrated on a "
        f"real recording), scaled by the real pipeline; seed {seed}."
        + (" Stopped before its end." if cut_short else "")
    )
    write_report(
        path,
        "triton-autoscaler demo",
        panels(world.points, policy),
        decisions,
        marks(world, policy),
        facts(world, policy, decisions),
        subtitle=subtitle,
        origin=world.start,
    )


def panels(points: Sequence[Point], policy: Policy) -> list[Panel]:
    sla = policy.sla.queue_time
    return [
        Panel(
            "Load and capacity",
            "requests/s",
            [
                Series("offered by the clients", [(p.at, p.offered) for p in points], "area"),
                Series(
                    "the ready replicas can answer", [(p.at, p.capacity) for p in points], "step"
                ),
            ],
        ),
        Panel(
            "Replicas",
            "",
            [
                Series("wanted", [(p.at, float(p.wanted)) for p in points], "step", dashed=True),
                Series("ready", [(p.at, float(p.ready)) for p in points], "step"),
            ],
            decisions=True,
        ),
        Panel(
            "Queue time",
            "ms",
            [Series("mean of the requests answered each second", queue_times(points))],
            scale="log",
            limits=[] if sla is None else [Limit(f"SLA {1000 * sla:.0f} ms", 1000 * sla)],
            note="Logarithmic: 7 to 9 ms while there is room, then a cliff.",
        ),
        Panel(
            "Waiting and turned away",
            "requests",
            [
                Series("pending", [(p.at, float(p.pending)) for p in points], "area"),
                Series(
                    "refused at full queues or lost in a crash, per second",
                    [(p.at, float(p.refused + p.lost)) for p in points],
                ),
            ],
        ),
    ]


def queue_times(points: Sequence[Point]) -> list[tuple[float, float | None]]:
    return [(p.at, None if p.queue_time is None else 1000 * p.queue_time) for p in points]


def marks(world: World, policy: Policy) -> list[Mark]:
    found = [_over(*stretch) for stretch in over_sla(world.points, policy)]
    found += [
        Mark("crash", event.at, label=event.replica, alarm=True)
        for event in world.fleet.events
        if event.kind == "crashed"
    ]
    for pod in world.fleet.pods:
        if pod.created_at > world.start:
            until = pod.ready_at or pod.gone_at or world.now
            took = f"{pod.name}, {until - pod.created_at:.0f} s"
            found.append(Mark("cold start", pod.created_at, until, took))
    return found


def _over(since: float, until: float, worst: float) -> Mark:
    label = f"queue time above the SLA for {until - since:.0f} s, at most {1000 * worst:.0f} ms"
    return Mark("overload", since, until, label, alarm=True)


def over_sla(points: Sequence[Point], policy: Policy) -> list[tuple[float, float, float]]:
    """(from, until, worst queue time) of each stretch above the SLA; gaps of 5 s are bridged."""
    sla = policy.sla.queue_time or math.inf
    found: list[tuple[float, float, float]] = []
    for point in points:
        if point.queue_time is None or point.queue_time <= sla:
            continue
        if found and point.at - found[-1][1] <= 5:
            since, _, worst = found.pop()
            found.append((since, point.at, max(worst, point.queue_time)))
        else:
            found.append((point.at - 1, point.at, point.queue_time))
    return found


def facts(world: World, policy: Policy, decisions: Sequence[Decision]) -> list[tuple[str, str]]:
    totals = world.totals
    above = sum(_above(point, policy) for point in world.points)
    used, static, peak = gpu_hours(world)
    ups, downs = directions(decisions)
    return [
        ("requests", f"{totals.sent:,}"),
        ("answered within the SLA", f"{100 * totals.kept:.2f} %"),
        ("seconds above the SLA", f"{above} of {len(world.points)}"),
        ("refused, lost", f"{totals.refused:,}, {totals.lost:,}"),
        ("GPU-hours", f"{used:.2f}"),
        (f"GPU-hours of {peak} all along", f"{static:.2f}"),
        ("changes", f"{ups} up, {downs} down"),
    ]


def _above(point: Point, policy: Policy) -> bool:
    return point.queue_time is not None and point.queue_time > (policy.sla.queue_time or math.inf)


def gpu_hours(world: World) -> tuple[float, float, int]:
    """Used; what a fleet of this run's most ready replicas would have used; how many that were."""
    peak = max((point.ready for point in world.points), default=0)
    return world.totals.gpu_seconds / 3600, peak * (world.now - world.start) / 3600, peak


def directions(decisions: Sequence[Decision]) -> tuple[int, int]:
    moves = [change for change in changes(decisions) if change.moves]
    ups = sum(change.after > change.before for change in moves)
    return ups, len(moves) - ups


def summary_of(
    world: World, policy: Policy, decisions: Sequence[Decision], *, cut_short: bool
) -> str:
    """The figures in words, lines of at most 100 columns."""
    totals = world.totals
    used, static, peak = gpu_hours(world)
    ups, downs = directions(decisions)
    above = sum(_above(point, policy) for point in world.points)
    mean = 1000 * totals.queued / totals.answered if totals.answered else math.nan
    sla = 1000 * (policy.sla.queue_time or math.inf)
    saved = f", {100 * (1 - used / static):.0f} % less" if static > used > 0 else ""
    head = "stopped early" if cut_short else "done"
    within = f"{100 * totals.kept:.2f} % answered within {sla:.0f} ms of queueing"
    rows = (
        ("requests", f"{totals.sent:,}; {within}"),
        ("failed", f"{totals.refused:,} refused at full queues, {totals.lost:,} lost in a crash"),
        ("queue time", f"{mean:.1f} ms on average; {above} of {len(world.points)} s above the SLA"),
        ("GPU-hours", f"{used:.2f}; the peak's {peak} replicas all along: {static:.2f}{saved}"),
        ("changes", f"{ups} up, {downs} down"),
    )
    length = elapsed(world.now - world.start)
    lines = [f"{length} of simulated time, {head}", *(f"  {name:<12}{text}" for name, text in rows)]
    return "\n".join(lines)
