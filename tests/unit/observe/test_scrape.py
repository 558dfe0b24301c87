"""The pages of a fleet, read over HTTP, and what becomes of them over time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from autoscaler.clock import WalkingClock
from autoscaler.model import Missing, ModelSignals, Sample, Signal, Windows
from autoscaler.observe.port import Readings
from autoscaler.observe.scrape import ScrapeSource
from tests.unit.observe.triton_pages import PageServer, page

POD = ("default", "flower-0")
START = 1_795_248_926.0


class Fleet:
    """One pod scraped every 5 s of a clock that only the test moves."""

    def __init__(self, server: PageServer) -> None:
        self.server = server
        self.clock = WalkingClock(START)
        self.endpoints = {POD: f"{server.url}/{POD[1]}/metrics"}
        self.source = ScrapeSource(lambda: self.endpoints, interval=5.0, clock=self.clock)

    async def read(self, text: str | bytes | None) -> Readings:
        self.server.pages.pop(POD[1], None)
        if text is not None:
            self.server.pages[POD[1]] = text
        readings = await self.source.read((), self.clock.now(), 2.0)
        await self.clock.sleep(5.0)
        return readings


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with PageServer().serving() as server:
        fleet = Fleet(server)
        yield fleet
        await fleet.source.close()


def only(readings: Readings) -> ModelSignals:
    (signals,) = readings.pods[POD].models
    return signals


def value(signal: Signal) -> float:
    assert isinstance(signal, Sample), signal
    return signal.value


def why(signal: Signal) -> str:
    assert isinstance(signal, Missing), signal
    return signal.missing


async def test_rates_come_with_the_second_page(fleet: Fleet) -> None:
    first = only(await fleet.read(page(success=1000, queue_us=0, pending=2)))
    assert "younger than two scrapes" in why(first.arrivals)
    assert value(first.pending) == 2.0
    for n in range(1, 5):
        readings = await fleet.read(page(success=1000 + 100 * n, queue_us=5e5 * n, pending=2))
    signals = only(readings)
    assert signals.completions == Sample(pytest.approx(20.0), START + 20, 20.0)
    assert value(signals.queueing) == pytest.approx(0.1)  # 100,000 µs/s: 5 ms at 20/s
    assert readings.pods[POD].duty_cycle == Sample(0.5, START + 20, 20.0)
    assert readings.pods[POD].gpu_power == Sample(0.5, START + 20, 20.0)


async def test_a_restart_is_no_negative_rate(fleet: Fleet) -> None:
    for success in (10_000, 10_100, 10_200, 50, 150):
        readings = await fleet.read(page(success=success))
    assert value(only(readings).completions) == pytest.approx((100 + 50 + 100) / 15)


async def test_a_models_first_requests_count(fleet: Fleet) -> None:
    """Loaded between two pages, it served 200 before its first: PromQL's rate loses those."""
    quiet = page(success=0, model="old")
    await fleet.read(quiet)
    readings = await fleet.read(quiet + page(success=200, gpu=None))
    new = next(m for m in readings.pods[POD].models if m.model == "bert")
    assert value(new.completions) == pytest.approx(200 / 5, rel=0.01)


async def test_a_model_that_is_unloaded_is_gone(fleet: Fleet) -> None:
    both = page(success=5, model="old") + page(success=5, gpu=None)
    await fleet.read(both)
    readings = await fleet.read(page(success=9))
    assert [signals.model for signals in readings.pods[POD].models] == ["bert"]


async def test_a_version_that_is_unloaded_takes_its_pending_along(fleet: Fleet) -> None:
    second = page(pending=50, gpu=None).replace('version="1"', 'version="2"')
    await fleet.read(page(pending=3) + second)
    readings = await fleet.read(page(pending=3))
    assert value(only(readings).pending) == 3.0


async def test_versions_are_told_while_they_serve(fleet: Fleet) -> None:
    second = page(pending=50, gpu=None).replace('version="1"', 'version="2"')
    assert only(await fleet.read(page())).versions is None
    assert only(await fleet.read(page() + second)).versions == "2"
    assert only(await fleet.read(second)).versions == "2"
    assert only(await fleet.read(page())).versions is None


async def test_triton_7479_the_zero_twin_with_gpu_uuid_changes_nothing(fleet: Fleet) -> None:
    """A model loaded late has two series: the true one, and one of zeros."""
    twin = page(success=0, pending=0, labels=',gpu_uuid="GPU-0"', gpu=None)
    for n in range(4):
        readings = await fleet.read(page(success=900 + 100 * n, pending=7) + twin)
    assert value(only(readings).completions) == pytest.approx(20.0, rel=0.01)
    assert value(only(readings).pending) == 7.0


async def test_triton_8979_a_hot_model_is_not_averaged_away(fleet: Fleet) -> None:
    """The published rule reads 400 µs beside nine idle models as 40."""
    for n in range(5):
        text = page(success=1000 * n, queue_us=400_000 * n, pending=1)
        text += "".join(page(model=f"idle-{i}", gpu=None) for i in range(9))
        readings = await fleet.read(text)
    models = readings.pods[POD].models
    hot = next(signals for signals in models if signals.model == "bert")
    assert value(hot.queueing) / value(hot.completions) == pytest.approx(400e-6)
    total = sum(value(m.queueing) for m in models) / sum(value(m.completions) for m in models)
    assert total == pytest.approx(400e-6)


async def test_low_traffic_is_not_biased(fleet: Fleet) -> None:
    """The published rule divides by 1 + requests: 2 requests of 30 ms would read 20 ms."""
    for success in (0, 1, 1, 2):
        readings = await fleet.read(page(success=success, queue_us=30_000 * success))
    signals = only(readings)
    assert value(signals.queueing) / value(signals.completions) == pytest.approx(0.030)


async def test_a_stall_shows_as_arrivals_that_no_counter_has(fleet: Fleet) -> None:
    for n in range(5):
        readings = await fleet.read(page(success=1000, pending=500 * n))
    signals = only(readings)
    assert value(signals.arrivals) == pytest.approx(100.0)
    assert value(signals.completions) == 0.0
    assert "wait unknown" in why(signals.queueing)


async def test_frozen_counters_are_told_from_idleness(fleet: Fleet) -> None:
    for pending in (0, 12, 3):
        readings = await fleet.read(page(success=0, pending=pending))
    assert "counter_latencies=false" in why(only(readings).arrivals)


async def test_a_truncated_page_is_missing_with_its_reason(fleet: Fleet) -> None:
    text = page(success=123_456)
    readings = await fleet.read(text[: text.index("123456") + 3])
    assert readings.failed is None
    assert readings.pods[POD].models == ()
    assert "cut off: no newline" in why(readings.pods[POD].duty_cycle)
    assert "flower-0" in readings.problems[0]
    assert "cut off" in readings.problems[0]


async def test_a_failed_scrape_leaves_the_last_page_for_three_intervals(fleet: Fleet) -> None:
    for success in (0, 100, 200):
        await fleet.read(page(success=success))
    for age in (5, 10, 15, 20):
        readings = await fleet.read(None)
        assert only(readings).pending == Sample(0.0, START + 10)
        assert isinstance(only(readings).completions, Sample) == (age < 15)  # two in 20 s
        assert "HTTP 404" in readings.problems[0]
    readings = await fleet.read(None)
    assert "HTTP 404" in why(only(readings).completions)
    assert "HTTP 404" in why(readings.pods[POD].duty_cycle)
    readings = await fleet.read(page(success=900))
    assert readings.problems == ()


async def test_nothing_listens(fleet: Fleet) -> None:
    fleet.endpoints = {POD: "http://127.0.0.1:1/metrics"}
    readings = await fleet.read(None)
    assert "127.0.0.1:1" in readings.problems[0]
    assert isinstance(readings.pods[POD].duty_cycle, Missing)


async def test_a_page_without_end_is_dropped(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.observe.scrape.LARGEST_PAGE", 1000)
    readings = await fleet.read(page() + "# padding\n" * 1000)
    assert "the page is over" in readings.problems[0]


async def test_bytes_that_are_no_text(fleet: Fleet) -> None:
    readings = await fleet.read(b"\xff\xfe\x00\n")
    assert "no page from" in readings.problems[0]


async def test_a_pod_that_left_is_forgotten(fleet: Fleet) -> None:
    await fleet.read(page())
    fleet.endpoints = {}
    readings = await fleet.read(page())
    assert readings.pods == {}
    assert readings.problems == ("no pod to scrape is known",)


async def test_a_policys_promql_needs_prometheus(fleet: Fleet) -> None:
    readings = await fleet.source.read(["sum(x)"], START, 2.0)
    assert "needs Prometheus" in why(readings.metrics["sum(x)"])


async def test_old_pages_leave_the_slow_window(fleet: Fleet) -> None:
    fleet.source = ScrapeSource(
        lambda: fleet.endpoints, interval=5.0, windows=Windows(20.0, 30.0), clock=fleet.clock
    )
    await fleet.read(page(success=0, pending=99))
    for n in range(1, 12):
        readings = await fleet.read(page(success=100 * n, pending=1))
    assert value(only(readings).pending_peak) == 1.0
    assert value(only(readings).completions_slow) == pytest.approx(20.0)
    await fleet.source.close()
