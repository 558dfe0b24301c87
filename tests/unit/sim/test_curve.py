"""The fluid world's servers are the request-level ones: one set of figures."""

from __future__ import annotations

from itertools import pairwise

import pytest

from autoscaler.sim.curve import QUANTILES, h200
from autoscaler.sim.server import ServerProfile
from autoscaler.sim.world import World


def test_it_reads_as_the_request_level_world():
    for rate in (400.0, 1300.0):
        world = World(lambda _, rate=rate: rate, patience=0.012, lead_in=5)
        world.advance(world.start + 40)
        queue = world.totals.queued / world.totals.answered
        late = world.totals.late / world.totals.answered
        assert h200().queue_time(rate) == pytest.approx(queue, rel=0.05)
        assert h200().late(rate, 0.012) == pytest.approx(late, abs=0.02)
        gpu = sum(pod.server.gpu_utilization for pod in world.fleet.present())
        assert h200().duty_cycle(rate) == pytest.approx(gpu, abs=0.05)


def test_recorded_queue_times():
    """Recorded 6.7, 8.1, 10.7 and 25 ms at these rates."""
    found = [1e3 * h200().queue_time(rate) for rate in (800, 1440, 1520, 1600)]
    assert found[:3] == pytest.approx([6.7, 8.1, 10.7], rel=0.15)
    assert 12 < found[3] < 50


def test_more_load_is_never_better():
    points = h200().points
    rates = [rate * 0.01 * h200().brink for rate in range(1, 101)]
    for read in (
        h200().queue_time,
        h200().duty_cycle,
        lambda rate: h200().late(rate, 0.050),
        lambda rate: h200().latency(rate, 0.99),
    ):
        values = [read(rate) for rate in rates]
        assert all(b >= a - 1e-9 for a, b in pairwise(values))
    assert all(list(point.latency) == sorted(point.latency) for point in points)


def test_who_has_no_patience_is_always_late_and_who_has_a_lot_never():
    assert h200().late(800, 0.0) == h200().late(800, -1.0) == 1.0
    assert h200().late(800, 5.0) == 0.0
    falling = [h200().late(1500, 0.001 * ms) for ms in range(1, 100)]
    assert falling == sorted(falling, reverse=True)


def test_beyond_the_brink_it_reads_as_at_the_brink_and_at_nothing_idle():
    curve = h200()
    assert curve.queue_time(9e9) == curve.points[-1].queue_time
    assert curve.duty_cycle(0.0) == 0.0
    assert 0 < curve.brink < curve.capacity == ServerProfile().capacity
    assert curve.latency(800, QUANTILES[0]) > curve.queue_time(800)


def test_scaled_it_keeps_its_times():
    curve, half = h200(), h200().scaled(0.5, "half")
    assert half.capacity == curve.capacity / 2
    for rate in (100, 600, 800):
        assert half.queue_time(rate / 2) == pytest.approx(curve.queue_time(rate))
        assert half.late(rate / 2, 0.02) == pytest.approx(curve.late(rate, 0.02))
