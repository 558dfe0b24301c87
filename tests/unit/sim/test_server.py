from __future__ import annotations

from random import Random

import pytest

from autoscaler.sim.server import ServerProfile, TritonServer, power_draw


def serve(rate: float, seconds: float, *, seed: int = 1, **profile: float) -> TritonServer:
    server = TritonServer(Random(seed), 0.0, ServerProfile(**profile), patience=0.05)  # type: ignore[arg-type]
    server.rate = rate
    server.advance(seconds)
    return server


def accounted(server: TritonServer) -> int:
    return server.counters.success + server.in_flight + server.tally.refused


@pytest.mark.parametrize("rate", [1.0, 80.0, 1000.0, 1600.0, 4000.0])
def test_every_request_is_answered_waiting_or_refused(rate):
    server = serve(rate, 20.0)
    assert server.tally.sent == accounted(server)
    assert server.tally.sent == pytest.approx(20 * rate, rel=0.1, abs=12)


def test_step_size_does_not_change_what_arrives():
    coarse = serve(1200.0, 60.0)
    fine = TritonServer(Random(2), 0.0, ServerProfile())
    fine.rate = 1200.0
    for step in range(6000):
        fine.advance((step + 1) / 100)
    assert fine.counters.success == pytest.approx(coarse.counters.success, rel=0.01)
    queue = coarse.counters.queue / coarse.counters.success
    assert fine.counters.queue / fine.counters.success == pytest.approx(queue, rel=0.05)


def test_counters_stand_still_while_pending_grows():
    """Triton's counters move only when an execution completes."""
    server = serve(1000.0, 1.0, floor=10.0)  # a model that has stalled
    assert server.counters.success == 0
    assert server.counters.queue == 0
    assert server.pending > 400


def test_a_full_queue_refuses_and_no_counter_tells():
    """49,236 requests in the recording: all four failure counters stayed 0."""
    server = serve(3000.0, 10.0, max_queue=256)
    assert server.tally.refused > 1000
    assert server.pending <= 256
    assert server.counters.success < 18_000


def test_queue_time_is_the_mean_number_waiting_over_throughput():
    """Little's law ties the counter to the gauge."""
    server = TritonServer(Random(3), 0.0, ServerProfile())
    server.rate = 1500.0
    waiting = 0
    for step in range(20_000):
        server.advance((step + 1) / 500)
        waiting += server.pending
    mean_waiting = waiting / 20_000
    assert server.counters.queue / 40 == pytest.approx(mean_waiting, rel=0.03)


def test_late_are_those_who_queue_beyond_patience():
    assert serve(800.0, 20.0).tally.late < 100
    drowned = serve(3000.0, 20.0)
    assert drowned.tally.late > 0.95 * drowned.counters.success


def test_no_load_no_work():
    server = serve(0.0, 10.0)
    server.sample_gpu(10.0)
    assert (server.tally.sent, server.counters.executions, server.pending) == (0, 0, 0)
    assert server.gpu_utilization == 0


def test_power_follows_the_recorded_points():
    assert power_draw(0.54) == 387
    assert 387 < power_draw(0.6) < 565
    assert power_draw(1.0) == 700
