"""A real Triton under real load: both sources agree with what the client counted, within 2 %.

Through a model reload and a restart, whose counters start again from 0. Four clients in a closed
loop on one instance of 20 ms and no batching: three of them always wait, about 60 ms each.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from autoscaler.model import ModelSignals, Sample, Windows
from autoscaler.observe.port import Source
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.scrape import ScrapeSource
from tests.testbed.parts import PerfAnalyzerInstall, PrometheusBinaries, TritonInstall
from tests.testbed.perf_analyzer import PerfResult, run_perf_analyzer
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.targets import Targets
from tests.testbed.triton_server import ToyModel, TritonServer, model_repository, triton_address

pytestmark = pytest.mark.real

POD = ("default", "flower-0")
WINDOWS = Windows(fast=8.0, slow=30.0)


@dataclass(frozen=True)
class Measured:
    rate: float  # requests/s completed
    queue_time: float  # seconds


async def test_both_sources_agree_with_the_client_through_reload_and_restart(
    prometheus_versions: PrometheusBinaries,
    triton_install: TritonInstall,
    perf_analyzer_install: PerfAnalyzerInstall,
    tmp_path: Path,
) -> None:
    models = model_repository(tmp_path / "models", [ToyModel("toy", 0.02, max_batch_size=0)])
    targets = Targets(tmp_path / "targets.json")
    with (
        TritonServer(triton_install, models, address=triton_address()) as triton,
        PrometheusServer(
            prometheus_versions, scrape_configs=[targets.scrape_config("triton")]
        ) as prometheus,
    ):
        targets.add(triton.metrics_target, {"namespace": POD[0], "pod": POD[1]})
        pages = {POD: triton.metrics_url}
        sources: dict[str, Source] = {
            "prometheus": PrometheusSource(prometheus.url, windows=WINDOWS, scrape_interval=1.0),
            "scrape": ScrapeSource(lambda: pages, interval=1.0, windows=WINDOWS),
        }
        try:
            await agree(sources, triton, perf_analyzer_install)
            triton.unload_model("toy")
            triton.load_model("toy")
            await agree(sources, triton, perf_analyzer_install)
            triton.restart()
            await agree(sources, triton, perf_analyzer_install)
        finally:
            for source in sources.values():
                await source.close()


async def agree(
    sources: dict[str, Source], triton: TritonServer, install: PerfAnalyzerInstall
) -> None:
    load = asyncio.create_task(
        asyncio.to_thread(
            run_perf_analyzer,
            install,
            model="toy",
            grpc=triton.grpc,
            concurrency=4,
            window_s=5.0,
            windows=3,
        )
    )
    seen: dict[str, list[tuple[float, ModelSignals]]] = {name: [] for name in sources}
    while not load.done():
        now = time.time()
        for name, source in sources.items():
            readings = await source.read([], now, deadline=2.0)
            for signals in readings.pods[POD].models if POD in readings.pods else ():
                seen[name].append((now, signals))
        await asyncio.sleep(max(0.0, now + 1.0 - time.time()))
    client = await load
    truth = counted(client)
    for name, signals in seen.items():
        got = measured(signals, client)
        assert got.rate == pytest.approx(truth.rate, rel=0.02), name
        assert got.queue_time == pytest.approx(truth.queue_time, rel=0.02), name


def counted(client: PerfResult) -> Measured:
    seconds = client.last_answered - client.first_sent
    return Measured(client.counted / seconds, client.rows[0].server_queue_us / 1e6)


def measured(seen: list[tuple[float, ModelSignals]], client: PerfResult) -> Measured:
    """Of the reads whose whole window lies inside the client's load; at least three."""
    inside = [
        signals
        for at, signals in seen
        if client.first_sent + WINDOWS.fast + 1.5 < at < client.last_answered
    ]
    rates, queues = [], []
    for signals in inside:
        if isinstance(signals.completions, Sample) and isinstance(signals.queueing, Sample):
            rates.append(signals.completions.value)
            queues.append(signals.queueing.value / signals.completions.value)
    assert len(rates) >= 3, seen[-1:]
    return Measured(statistics.mean(rates), statistics.mean(queues))
