from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from autoscaler.policy.profile import Configuration, Point, Profile, ProfileError, parse_profile
from autoscaler.sim.fit import curve_of, fitted


@pytest.fixture(scope="module")
def closed(recordings):
    return parse_profile((recordings / "h200-bert-large-1gpu/perf.csv").read_text())


@pytest.fixture(scope="module")
def opened(recordings):
    return parse_profile((recordings / "h200-bert-large-4gpu/rates.csv").read_text())


def test_a_closed_loop_gives_the_server_that_was_measured(closed):
    server = fitted(closed)
    assert server.capacity == pytest.approx(1692, rel=0.001)  # the highest of the file
    assert server.max_batch == pytest.approx(32, abs=2)
    assert server.floor == pytest.approx(6.75e-3, rel=0.1)
    assert server.service(16) == pytest.approx(10.4e-3, rel=0.1)


def test_a_closed_loop_predicts_the_open_one(closed, recordings):
    """From 320 requests/s to 95 % of the capacity within 25 %, at 1,600 too low by up to half:
    a closed loop reads 5 % more than the open one can carry.
    """
    curve = curve_of(closed)
    with (recordings / "h200-bert-large-4gpu/rates.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["Request Rate"]) >= 320]
    for row in rows:
        rate, queue = float(row["Inferences/Second"]), float(row["Server Queue"]) / 1e6
        if rate < 1600:
            assert curve.queue_time(rate) == pytest.approx(queue, rel=0.25), rate
        else:
            assert queue / 2 < curve.queue_time(rate) < queue


def test_an_open_loop_is_read_too(opened):
    curve = curve_of(opened)
    assert curve.capacity == pytest.approx(1615, rel=0.001)
    assert curve.queue_time(1280) == pytest.approx(7.4e-3, rel=0.25)


def profile(*points: tuple[float, float, float | None], **more) -> Profile:
    """(load, mean latency in ms, queue time in ms) of a closed loop."""
    return Profile(
        tuple(
            Point(n, 1e3 * n / latency, {}, latency / 1e3, None if queue is None else queue / 1e3)
            for n, latency, queue in points
        ),
        **more,
    )


def test_without_batching_a_batch_is_one_request():
    server = fitted(profile((1, 10, 0.0), (2, 20, 10.0), (8, 80, 70.0)))
    assert server.max_batch == 1
    assert server.capacity == pytest.approx(100)
    assert server.service(1) == pytest.approx(0.010)


def test_without_queue_times_the_lowest_load_is_the_service():
    server = fitted(profile((1, 10, None), (8, 12, None), (16, 20, None), (32, 40, None)))
    assert server.capacity == pytest.approx(800)
    assert server.floor == pytest.approx(0.010)


def test_the_configuration_says_the_batch():
    told = profile((1, 10, 0.0), (32, 40, 20.0), configuration=Configuration(max_batch=4))
    server = fitted(told)
    assert server.max_batch >= 4
    assert server.capacity == pytest.approx(800)


def test_too_little_is_refused():
    with pytest.raises(ProfileError, match="fewer than two loads"):
        fitted(Profile((Point(1, 10, {}), Point(2, 20, {}))))


def test_a_server_ten_times_slower_is_the_same_in_its_own_time(closed):
    points = tuple(
        replace(
            point,
            requests_per_second=point.requests_per_second / 10,
            mean_latency=10 * point.mean_latency,
            queue_time=10 * point.queue_time,
        )
        for point in closed.points
    )
    slow, quick = curve_of(replace(closed, points=points)), curve_of(closed)
    assert slow.capacity == pytest.approx(quick.capacity / 10)
    for rate, patience in ((800, 0.02), (1500, 0.05)):
        assert slow.queue_time(rate / 10) == pytest.approx(10 * quick.queue_time(rate), rel=0.1)
        late = quick.late(rate, patience)
        assert slow.late(rate / 10, 10 * patience) == pytest.approx(late, rel=0.5, abs=0.002)
        assert slow.latency(rate / 10, 0.9) == pytest.approx(10 * quick.latency(rate, 0.9), rel=0.1)
