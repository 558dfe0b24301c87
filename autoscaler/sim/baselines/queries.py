"""What a Prometheus beside a simulated fleet answers: the pods' own readings, nothing corrected.

A rate is the growth between the first and the last scrape of its window over the time between
them. Neither the HPA's adapter nor KEDA puts back requests that were refused uncounted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from autoscaler.decide.hpa import PodSample, milli
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.serving import Group, Reading

# What a query says of one pod; None: no answer.
Query: TypeAlias = Callable[[Group], float | None]


def duty_cycle(group: Group) -> float | None:
    """DCGM's gauge, last scrape, in percent."""
    return 100 * group.readings[-1].duty_cycle if group.readings else None


def pending(group: Group) -> float | None:
    """nv_inference_pending_request_count, last scrape."""
    return group.readings[-1].pending if group.readings else None


def request_rate(window: float, scrape: float) -> Query:
    """rate(nv_inference_request_success[window]), requests/s."""

    def ask(group: Group) -> float | None:
        ends = _ends(group, window, scrape)
        if ends is None:
            return None
        first, last = ends
        return (last.success - first.success) / (last.at - first.at)

    return ask


def sample_queue_time(window: float, scrape: float) -> Query:
    """Triton's published rule, microseconds: delta(queue_duration) / (1 + delta(success)).

    Of one model in a pod, so that its average over series is the value itself.
    """

    def ask(group: Group) -> float | None:
        ends = _ends(group, window, scrape)
        if ends is None:
            return None
        first, last = ends
        return 1e6 * (last.queueing - first.queueing) / (1 + last.success - first.success)

    return ask


def pod_samples(world: FluidWorld, query: Query) -> list[PodSample]:
    """One for each pod that the API server lists; those that are starting have no series yet."""
    told: dict[int, int | None] = {}
    for group in world.groups:
        value = query(group)
        told[id(group)] = None if value is None else milli(value)
    return [
        PodSample(
            pod.name,
            None if pod.group is None else told[id(pod.group)],
            phase="Pending" if pod.started_at is None else "Running",
            ready=pod.phase == "ready",
            deleting=pod.phase == "draining",
        )
        for pod in world.pods
    ]


def total(world: FluidWorld, query: Query) -> float | None:
    """sum(…) over the pods that have an answer; None where none has: an empty vector."""
    known = list(_known(world, query))
    return sum(known) if known else None


def _known(world: FluidWorld, query: Query) -> Iterator[float]:
    for group in world.groups:
        value = query(group)
        if value is not None:
            yield group.count * value


def _ends(group: Group, window: float, scrape: float) -> tuple[Reading, Reading] | None:
    """The first and last reading of the window, or of what there is; None with fewer than two.

    A window of 60 s at scrapes of 15 s spans four of them, 60 s from first to last at best.
    """
    readings = group.readings
    if len(readings) < 2:
        return None
    back = min(len(readings) - 1, max(1, round(window / scrape)))
    return readings[-1 - back], readings[-1]
