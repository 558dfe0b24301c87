"""Both sources give the same signals for the same pages: within 2 %, whatever happens to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from autoscaler.clock import WalkingClock
from autoscaler.model import Missing, ModelSignals, Sample, Signal
from autoscaler.observe.port import Readings
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.scrape import ScrapeSource
from tests.contract.backfilled import of_page, prometheus_with
from tests.testbed.parts import PrometheusBinaries
from tests.unit.observe.triton_pages import PageServer, page

pytestmark = pytest.mark.real

START, STEP, SCRAPES = 1_795_248_900.0, 5.0, 80
SIGNALS = [name for name in ModelSignals.__slots__ if name not in ("model", "versions")]


def busy(n: int) -> str:
    """100 requests/s of 8 ms in the queue, a sawtooth of pending, some failures."""
    return page(
        success=97_000 + 500 * n,
        queue_us=500 * 8_000 * n,
        pending=10 + 7 * (n % 4),
        rejected=20 * n,
    )


def restarted(n: int) -> str:
    """Another process from the 40th scrape on: its counters start again from 0."""
    return busy(n) if n < 40 else page(success=300 * (n - 40), queue_us=9e5 * (n - 40), pending=3)


def twins(n: int) -> str:
    """Two versions of a model, and a zero twin with gpu_uuid of each."""
    second = page(success=50 * n, queue_us=1e5 * n, pending=2, gpu=None)
    second = second.replace('version="1"', 'version="2"')
    zeros = page(gpu=None, labels=',gpu_uuid="GPU-0"')
    return busy(n) + second + zeros + zeros.replace('version="1"', 'version="2"')


def several(n: int) -> str:
    """One hot model among idle ones, one of them with two requests a minute."""
    seldom = page(success=n // 6, queue_us=30_000 * (n // 6), model="seldom", gpu=None)
    return busy(n) + seldom + page(model="idle", gpu=None)


def growing(n: int) -> str:
    """A stall: nothing completes and 40 requests/s pile up."""
    return page(success=1000, queue_us=1e6, pending=200 * n)


PODS: Mapping[str, Callable[[int], str | None]] = {
    "busy-0": busy,
    "restarted-0": restarted,
    "twins-0": twins,
    "several-0": several,
    "growing-0": growing,
    "young-0": lambda n: page(success=300 * (n - 74), queue_us=1e6, pending=5) if n > 74 else None,
    "newborn-0": lambda n: page(success=40, pending=5) if n == SCRAPES - 1 else None,
}


async def from_pages() -> Readings:
    clock = WalkingClock(START)
    async with PageServer().serving() as server:
        endpoints = {("default", pod): f"{server.url}/{pod}/metrics" for pod in PODS}
        source = ScrapeSource(lambda: endpoints, interval=STEP, clock=clock)
        for n in range(SCRAPES):
            server.pages = {pod: text for pod, at in PODS.items() if (text := at(n)) is not None}
            readings = await source.read((), clock.now(), 5.0)
            await clock.sleep(STEP)
        await source.close()
    return readings


async def from_prometheus(url: str, now: float) -> Readings:
    source = PrometheusSource(url, at=True)
    readings = await source.read((), now, 10.0)
    await source.close()
    return readings


def agree(one: Signal, other: Signal) -> bool:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return isinstance(one, Missing) and isinstance(other, Missing)
    return one.value == pytest.approx(other.value, rel=0.02, abs=1e-9) and (
        one.window == other.window
    )


async def test_the_same_pages_give_the_same_signals(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    samples = [
        sample
        for pod, at in PODS.items()
        for n in range(SCRAPES)
        if (text := at(n)) is not None
        for sample in of_page(
            text, f'namespace="default",pod="{pod}",job="triton"', START + STEP * n
        )
    ]
    now = START + STEP * (SCRAPES - 1)
    scraped = await from_pages()
    with prometheus_with(prometheus_versions, tmp_path, samples) as server:
        # A moment later: Prometheus 2 counts the sample at a window's very start, 3 does not.
        stored = await from_prometheus(server.url, now + 0.01)
    assert stored.windows == scraped.windows
    assert (stored.problems, stored.failed) == ((), None)
    assert stored.pods.keys() == scraped.pods.keys()
    different = []
    for key, pod in scraped.pods.items():
        there = stored.pods[key]
        models = {signals.model: signals for signals in there.models}
        assert models.keys() == {signals.model for signals in pod.models}
        for ours in pod.models:
            pairs = [(getattr(ours, n), getattr(models[ours.model], n), n) for n in SIGNALS]
            different += [(key, ours.model, *pair) for pair in pairs if not agree(*pair[:2])]
            assert models[ours.model].versions == ours.versions
        assert agree(pod.duty_cycle, there.duty_cycle)
        assert agree(pod.gpu_power, there.gpu_power)
    assert different == []


async def test_what_both_say_is_the_truth(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    samples = [
        sample
        for n in range(SCRAPES)
        for sample in of_page(
            twins(n), 'namespace="default",pod="twins-0",job="triton"', START + STEP * n
        )
    ]
    with prometheus_with(prometheus_versions, tmp_path, samples) as server:
        readings = await from_prometheus(server.url, START + STEP * (SCRAPES - 1) + 0.01)
    (signals,) = readings.pods["default", "twins-0"].models
    assert isinstance(signals.completions, Sample)
    assert isinstance(signals.queueing, Sample)
    assert signals.completions.value == pytest.approx(110.0, rel=0.001)
    assert signals.queueing.value == pytest.approx((500 * 8e-3 + 0.1) / 5, rel=0.001)
    assert signals.rejected.value == pytest.approx(4.0, rel=0.001)  # type: ignore[union-attr]
    assert signals.pending.value == 10 + 7 * 3 + 2  # type: ignore[union-attr]
