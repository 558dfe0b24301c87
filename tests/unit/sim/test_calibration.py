"""The simulated server beside the real H200s, at the same load.

Tolerances: with room to spare queue time within 20 %, mean batch within 20 %, GPU utilisation
within 0.06, power within 12 %; at the cliff's edge, where the recording itself reads 20 to 30 ms
from scrape to scrape, queue time within a factor of two.
"""

from __future__ import annotations

import csv
from random import Random

import pytest

from autoscaler.sim.fleet import ColdStart, Hosting
from autoscaler.sim.server import ServerProfile, TritonServer
from autoscaler.sim.world import World
from tests.unit.sim.recording import Figures, recorded

UNIT = 1600.0  # a replica's worth, requests/s


def simulated(world: World, since: float, until: float) -> Figures:
    """The same figures of the world, from its servers as they are at both ends."""
    world.advance(world.start + since)
    servers = [pod.server for pod in world.fleet.present() if pod.server]

    def counters() -> list[tuple[float, ...]]:
        return [(s.counters.success, s.counters.executions, s.counters.queue) for s in servers]

    before = [*zip(*counters(), strict=True)]
    gauges = []
    for second in range(int(since), int(until)):
        world.advance(world.start + second + 1)
        gauges += [(s.gpu_utilization, s.power, s.pending) for s in servers]
    success, executions, queue = (
        sum(new) - sum(old) for new, old in zip(zip(*counters(), strict=True), before, strict=True)
    )
    utilization, watts, pending = (
        sum(column) / len(gauges) for column in zip(*gauges, strict=True)
    )
    return Figures(1000 * queue / success, success / executions, utilization, watts, pending)


@pytest.mark.parametrize(("load", "since", "until"), [(0.5, 5, 40), (0.9, 42, 59)])
def test_with_room_to_spare_a_server_reads_as_the_real_one(recordings, load, since, until):
    real = recorded(recordings, since, until, ["triton-0"])
    mine = simulated(World(lambda _: load * UNIT), since=5, until=65)
    assert mine.queue_ms == pytest.approx(real.queue_ms, rel=0.2)
    assert mine.batch == pytest.approx(real.batch, rel=0.2)
    assert mine.utilization == pytest.approx(real.utilization, abs=0.06)
    assert mine.watts == pytest.approx(real.watts, rel=0.12)


def test_three_replicas_carrying_three_replicas_worth_stand_at_the_cliff(recordings):
    real = recorded(recordings, 217, 237, ["triton-0", "triton-1", "triton-3"])
    slow = Hosting(detection=1.5, cold_start=ColdStart(load=60.0))
    mine = simulated(World(lambda _: 3 * UNIT, replicas=4, crashes=[10], hosting=slow), 12, 32)
    assert real.queue_ms / 2 <= mine.queue_ms <= real.queue_ms * 2
    assert mine.queue_ms > 13  # where four replicas read 7 to 9
    assert mine.batch == pytest.approx(real.batch, rel=0.2)
    assert mine.utilization == pytest.approx(real.utilization, abs=0.06)
    assert mine.watts == pytest.approx(real.watts, rel=0.12)


def test_the_cliff_stands_where_perf_analyzer_found_it(recordings):
    """Open loop on one replica: within a quarter of the measured queue time up to the brink."""
    with (recordings / "h200-bert-large-4gpu" / "rates.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["Request Rate"]) >= 320]
    for row in rows:
        server = TritonServer(Random(2), 0.0, ServerProfile())
        server.rate = float(row["Request Rate"])
        server.advance(100.0)
        queue_us = 1e6 * server.counters.queue / server.counters.success
        brink = server.rate >= 1600
        measured = pytest.approx(float(row["Server Queue"]), rel=0.5 if brink else 0.25)
        assert queue_us == measured, row["Request Rate"]


def test_saturation_answers_what_perf_analyzer_measured(recordings):
    with (recordings / "h200-bert-large-1gpu" / "perf.csv").open() as file:
        measured = max(float(row["Inferences/Second"]) for row in csv.DictReader(file))
    server = TritonServer(Random(1), 0.0, ServerProfile())
    server.rate = 2 * measured
    server.advance(30.0)
    assert server.counters.success / 30 == pytest.approx(measured, rel=0.05)


def test_a_single_request_takes_what_perf_analyzer_measured(recordings):
    with (recordings / "h200-bert-large-1gpu" / "perf.csv").open() as file:
        one = next(row for row in csv.DictReader(file) if row["Concurrency"] == "1")
    server = TritonServer(Random(1), 0.0, ServerProfile())
    server.rate = 5.0
    server.advance(200.0)
    infer_us = 1e6 * server.counters.compute_infer / server.counters.success
    assert infer_us == pytest.approx(float(one["Server Compute Infer"]), rel=0.05)
