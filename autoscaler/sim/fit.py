"""From a load sweep of one replica to the simulated server that behaves so.

A point tells the batch and how long it took, by Little's law: of the X·(R − Q) requests that are
in execution at once, one batch takes R − Q. BERT-large at concurrency 128: 1,692/s, 75.6 ms in
all, 56 ms of it in the queue, so that 19.6 ms take 33 requests. A batch of b then takes

    t(b) = max(floor, base + slope · b)      floor: the quickest that was measured

through those points; the capacity is the highest throughput measured. How the server hands batches
over and how its times scatter is as recorded (`sim.server`), in units of its own times: no sweep
shows it.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from autoscaler.policy.profile import Point, Profile
from autoscaler.policy.profile.sweep import ProfileError
from autoscaler.sim.curve import ServerCurve, measured
from autoscaler.sim.server import ServerProfile

RECORDED = ServerProfile()


def curve_of(profile: Profile, network: float = 0.0) -> ServerCurve:
    """`network`: seconds of the measured latency that are spent outside the server.

    Raises ProfileError where the sweep tells too little.
    """
    server = fitted(profile, network)
    name = profile.source or str(profile.configuration) or "the profile"
    return measured(server, f"{name} ({server.capacity:,.0f} requests/s at full batches)")


def fitted(profile: Profile, network: float = 0.0) -> ServerProfile:
    """The request-level server. `max_queue` is as recorded: a sweep does not show it."""
    points = [point for point in profile.points if _latency(point) is not None]
    if len(points) < 2:
        raise ProfileError(
            "tells the mean latency of fewer than two loads: no server can be made of it",
            "measure several loads with perf_analyzer, up to one that breaks the SLA",
        )
    busiest = max(points, key=lambda point: point.requests_per_second)
    most = busiest.requests_per_second
    times = [(most_in(point, network), _execution(point, points, network)) for point in points]
    floor = min(took for _, took in times)
    batch = profile.configuration.max_batch or max(1, round(max(b for b, _ in times)))
    full = batch / most  # so that full batches make the measured capacity
    if full <= floor:
        batch, full = max(1, round(most * floor)), floor
    base, slope = _line(times, batch, full)
    quicker = RECORDED.floor / floor
    slower = full / RECORDED.service(RECORDED.max_batch)
    gpu_base = RECORDED.gpu_base / quicker
    return replace(
        RECORDED,
        max_batch=batch,
        floor=floor,
        base=base,
        per_request=slope,
        per_square=0.0,
        # The part of an execution that the GPU is busy, as recorded: 0.59 of it at the floor.
        gpu_base=gpu_base,
        gpu_per_request=max(0.0, (0.85 * full - gpu_base) / batch),
        hand_over=RECORDED.hand_over / quicker,
        batch_delay=RECORDED.batch_delay / quicker,
        hiccup=RECORDED.hiccup * slower,
        hiccups_per_second=RECORDED.hiccups_per_second / slower,
    )


def most_in(point: Point, network: float) -> float:
    """Requests in execution at once: throughput × time in execution."""
    latency, queue = _latency(point) or 0.0, point.queue_time or 0.0
    return point.requests_per_second * max(0.0, latency - queue - network)


def _latency(point: Point) -> float | None:
    return point.mean_latency if point.mean_latency is not None else point.latency.get(0.5)


def _execution(point: Point, points: list[Point], network: float) -> float:
    """Seconds; where the queue is not told, as quick as the lowest load's."""
    latency = _latency(point) or 0.0
    if point.queue_time is None:
        latency = min(_latency(other) or latency for other in points)
    return max(1e-6, latency - (point.queue_time or 0.0) - network)


def _line(times: list[tuple[float, float]], batch: int, full: float) -> tuple[float, float]:
    """(base, slope) of t(b) through the full batch and the half-full ones that were measured.

    Where none was (a closed loop jumps from 4 to 27 in a batch), half way between the most and
    the least it can be: a line from the small batches, and time in proportion to the batch.
    """
    most = full / batch
    half = [(full - took) / (batch - b) for b, took in times if 0.25 * batch < b < 0.8 * batch]
    small = [(full - took) / (batch - b) for b, took in times if b <= 0.25 * batch]
    if half:
        slope = statistics.median(half)
    elif small:
        slope = (statistics.median(small) + most) / 2
    else:
        slope = 0.7 * most
    slope = min(max(slope, 0.0), most)
    return full - slope * batch, slope
